// Verify judges tokens as the OpenStorage server does: a JSON object a line on standard input,
// a verdict a line on standard output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/libopenstorage/openstorage/pkg/auth"
)

type question struct {
	Token          string `json:"token"`
	Issuer         string `json:"issuer"`
	SharedSecret   []byte `json:"shared_secret_base64"`
	RSAPublicPEM   string `json:"rsa_public_pem"`
	ECDSAPublicPEM string `json:"ecdsa_public_pem"`
	UsernameClaim  string `json:"username_claim"`
}

type verdict struct {
	Accepted bool         `json:"accepted"`
	Error    string       `json:"error,omitempty"`
	Claims   *auth.Claims `json:"claims,omitempty"`
}

// The server keeps one authenticator for each issuer that it trusts, and finds a token's by its
// unverified issuer.
func judge(q question) (*auth.Claims, error) {
	issuer, err := auth.TokenIssuer(q.Token)
	if err != nil {
		return nil, err
	}
	if issuer != q.Issuer {
		return nil, fmt.Errorf("%s is not a trusted issuer", issuer)
	}
	authenticator, err := auth.NewJwtAuth(&auth.JwtAuthConfig{
		SharedSecret:  q.SharedSecret,
		RsaPublicPem:  []byte(q.RSAPublicPEM),
		ECDSPublicPem: []byte(q.ECDSAPublicPEM),
		UsernameClaim: auth.UsernameClaimType(q.UsernameClaim),
	})
	if err != nil {
		return nil, err
	}
	return authenticator.AuthenticateToken(context.Background(), q.Token)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		claims, err := judge(q)
		answer := verdict{Accepted: err == nil, Claims: claims}
		if err != nil {
			answer.Error = err.Error()
		}
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}
