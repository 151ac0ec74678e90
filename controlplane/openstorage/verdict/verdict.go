// Package verdict answers questions about tokens: a JSON object a line on standard input, a
// verdict a line on standard output.
package verdict

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/libopenstorage/openstorage/pkg/auth"
)

// Question is a token and the server that is asked to take it. TokenBytes, where it is given,
// stands for a token that is no text; Now, where it is given, for the clock.
type Question struct {
	Token          string     `json:"token"`
	TokenBytes     []byte     `json:"token_base64"`
	Now            *time.Time `json:"now"`
	Issuer         string     `json:"issuer"`
	SharedSecret   []byte     `json:"shared_secret_base64"`
	RSAPublicPEM   string     `json:"rsa_public_pem"`
	ECDSAPublicPEM string     `json:"ecdsa_public_pem"`
	UsernameClaim  string     `json:"username_claim"`
}

// Clock is the question's time, or the real clock.
func (q Question) Clock() func() time.Time {
	if q.Now == nil {
		return time.Now
	}
	return func() time.Time { return *q.Now }
}

type answer struct {
	Accepted bool         `json:"accepted"`
	Error    string       `json:"error,omitempty"`
	Claims   *auth.Claims `json:"claims,omitempty"`
}

// Serve answers until the questions end.
func Serve(judge func(Question) (*auth.Claims, error)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var q Question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if q.TokenBytes != nil {
			q.Token = string(q.TokenBytes)
		}
		if err := json.NewEncoder(os.Stdout).Encode(ask(judge, q)); err != nil {
			os.Exit(1)
		}
	}
}

// A panic is a refusal: the server answers it with an error.
func ask(judge func(Question) (*auth.Claims, error), q Question) (given answer) {
	defer func() {
		if problem := recover(); problem != nil {
			given = answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	claims, err := judge(q)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Accepted: true, Claims: claims}
}
