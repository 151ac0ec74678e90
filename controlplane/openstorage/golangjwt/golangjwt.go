// Package golangjwt judges tokens as newer OpenStorage servers do. Their pkg/auth stands on
// golang-jwt v4, and no release with it can be had as a Go module; this makes its decisions on that
// library.
package golangjwt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v4"
	"github.com/libopenstorage/openstorage/pkg/auth"

	"openstorage/verdict"
)

// What a token must name, whatever its values.
var mandatory = [...]string{"iss", "sub", "exp", "iat", "name", "email"}

// A key of each family, nil where the server has none.
type keyring map[string]any

func openKeyring(q verdict.Question) (keyring, error) {
	ring := keyring{}
	if len(q.SharedSecret) > 0 {
		ring["HS"] = q.SharedSecret
	}
	if q.RSAPublicPEM != "" {
		key, err := jwt.ParseRSAPublicKeyFromPEM([]byte(q.RSAPublicPEM))
		if err != nil {
			return nil, err
		}
		ring["RS"] = key
	}
	if q.ECDSAPublicPEM != "" {
		key, err := jwt.ParseECPublicKeyFromPEM([]byte(q.ECDSAPublicPEM))
		if err != nil {
			return nil, err
		}
		ring["ES"] = key
	}
	if len(ring) == 0 {
		return nil, errors.New("the server has no key")
	}
	return ring, nil
}

func (ring keyring) keyFor(token *jwt.Token) (any, error) {
	family := token.Method.Alg()[:2]
	if family != "HS" && family != "RS" && family != "ES" {
		return nil, fmt.Errorf("no server takes the algorithm %s", token.Method.Alg())
	}
	return ring[family], nil
}

// The payload as the server's struct; nil for null.
func readClaims(token string) (*auth.Claims, error) {
	segments := strings.Split(token, ".")
	if len(segments) < 3 {
		return nil, errors.New("not a token")
	}
	payload, err := jwt.DecodeSegment(segments[1])
	if err != nil {
		return nil, err
	}
	var claims *auth.Claims
	err = json.Unmarshal(payload, &claims)
	return claims, err
}

// Judge returns the claims of a token that the server takes, or why it does not.
func Judge(q verdict.Question) (*auth.Claims, error) {
	jwt.TimeFunc = q.Clock()
	unverified, err := readClaims(q.Token)
	if err != nil {
		return nil, err
	}
	if unverified.Issuer == "" || unverified.Issuer != q.Issuer {
		return nil, fmt.Errorf("%q is not a trusted issuer", unverified.Issuer)
	}
	ring, err := openKeyring(q)
	if err != nil {
		return nil, err
	}
	token, err := jwt.Parse(q.Token, ring.keyFor)
	if err != nil {
		return nil, err
	}
	named, isMap := token.Claims.(jwt.MapClaims)
	if !token.Valid || !isMap || named == nil {
		return nil, errors.New("not valid")
	}
	for _, name := range mandatory {
		if _, present := named[name]; !present {
			return nil, fmt.Errorf("no claim %s", name)
		}
	}
	claims, err := readClaims(token.Raw)
	if err != nil {
		return nil, err
	}
	user := map[string]string{"email": claims.Email, "name": claims.Name}
	owner, chosen := user[q.UsernameClaim]
	if !chosen {
		owner = claims.Subject
	}
	if owner == "" {
		return nil, errors.New("the user name is empty")
	}
	return claims, nil
}
