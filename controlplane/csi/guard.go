package main

import (
	"context"
	"slices"
	"strings"

	"github.com/libopenstorage/openstorage/api"
	"github.com/libopenstorage/openstorage/pkg/auth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"openstorage/golangjwt"
	"openstorage/verdict"
)

// The key of a Secret's data under which a token is: pkg/auth/secrets/secrets.go.
const tokenKey = "auth-token"

// A guard knows whom to let in. It reads the key once, at its start, as Portworx does.
type guard struct {
	issuer string
	secret []byte
	older  *auth.JwtAuthenticator
}

func newGuard(issuer string, secret []byte) (*guard, error) {
	older, err := auth.NewJwtAuth(&auth.JwtAuthConfig{SharedSecret: secret})
	return &guard{issuer, secret, older}, err
}

// Admit returns a context with the user of a call's token, if a role of the user allows the method
// of OpenStorage's SDK, as api/server/sdk/server_interceptors.go has it.
func (g *guard) admit(
	ctx context.Context, secrets map[string]string, method string,
) (context.Context, error) {
	user, err := g.user(secrets)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(user.Claims.Roles, func(role string) bool { return allows(role, method) }) {
		return nil, status.Errorf(codes.PermissionDenied,
			"Access to /openstorage.api.%s denied: rpc error: code = PermissionDenied desc = "+
				"Access denied to roles: %+s", method, user.Claims.Roles)
	}
	return auth.ContextSaveUserInfo(ctx, user), nil
}

func (g *guard) user(secrets map[string]string) (*auth.UserInfo, error) {
	token := secrets[tokenKey]
	if token == "" {
		return auth.NewGuestUser(), nil
	}
	issuer, err := auth.TokenIssuer(token)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated,
			"Unable to obtain token issuer from authorization token")
	}
	if issuer != g.issuer {
		return nil, status.Errorf(codes.Unauthenticated, "%s is not a trusted issuer", issuer)
	}
	question := verdict.Question{Token: token, Issuer: g.issuer, SharedSecret: g.secret}
	claims, err := golangjwt.Judge(question)
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, "Unable to authenticate token")
	}
	return &auth.UserInfo{Username: g.older.Username(claims), Claims: *claims}, nil
}

// The system's roles, of pkg/role/sdkserviceapi.go, as far as methods are asked for here.
func allows(role, method string) bool {
	switch role {
	case "system.admin", "system.user", "system.guest":
		return true
	case "system.view":
		return strings.Contains(method, "Inspect") || strings.Contains(method, "Enumerate")
	}
	return false
}

// Permit says whether the context's user has this access to a volume.
func permit(ctx context.Context, v *volume, access api.Ownership_AccessType) error {
	// Whoever may do anything with a volume may at least read it.
	if !v.Ownership.IsPermittedByContext(ctx, access) {
		return status.Errorf(codes.PermissionDenied, "Access denied to volume %s", v.ID)
	}
	return nil
}
