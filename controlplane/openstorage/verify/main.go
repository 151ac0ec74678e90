// Verify judges tokens as the OpenStorage server does, on the release's own code.
package main

import (
	"context"
	"fmt"

	"github.com/dgrijalva/jwt-go"
	"github.com/libopenstorage/openstorage/pkg/auth"

	"openstorage/verdict"
)

// The server keeps one authenticator for each issuer that it trusts, and finds a token's by its
// unverified issuer.
func judge(q verdict.Question) (*auth.Claims, error) {
	jwt.TimeFunc = q.Clock()
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
	verdict.Serve(judge)
}
