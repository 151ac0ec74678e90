// Generate makes a token as the public generator does, on OpenStorage's own code: the stand-in
// for `pxctl auth token generate`, which is closed.
package main

import (
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/libopenstorage/openstorage/pkg/auth"
	"gopkg.in/yaml.v2"
)

func generate() error {
	config := flag.String("auth-config", "", "user file")
	issuer := flag.String("issuer", "openstorage.io", "issuer")
	secret := flag.String("shared-secret", "", "shared secret")
	rsaFile := flag.String("rsa-private-keyfile", "", "RSA key")
	ecdsaFile := flag.String("ecdsa-private-keyfile", "", "ECDSA key")
	duration := flag.String("token-duration", "1d", "how long the token lives")
	output := flag.String("output", "", "file for the token, instead of standard output")
	flag.Parse()

	data, err := os.ReadFile(*config)
	if err != nil {
		return err
	}
	var claims auth.Claims
	if err := yaml.Unmarshal(data, &claims); err != nil {
		return err
	}
	if claims.Subject == "" {
		user := "openstorage.io/" + claims.Name + "/" + claims.Email
		claims.Subject = base64.StdEncoding.EncodeToString([]byte(user))
	}
	claims.Issuer = *issuer
	lifetime, err := auth.ParseToDuration(*duration)
	if err != nil {
		return err
	}
	var signature *auth.Signature
	switch {
	case *secret != "":
		signature, err = auth.NewSignatureSharedSecret(*secret)
	case *rsaFile != "":
		signature, err = auth.NewSignatureRSAFromFile(*rsaFile)
	default:
		signature, err = auth.NewSignatureECDSAFromFile(*ecdsaFile)
	}
	if err != nil {
		return err
	}
	options := &auth.Options{Expiration: time.Now().Add(lifetime).Unix()}
	token, err := auth.Token(&claims, signature, options)
	if err != nil {
		return err
	}
	if *output != "" {
		return os.WriteFile(*output, []byte(token), 0o600)
	}
	_, err = fmt.Println(token)
	return err
}

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
