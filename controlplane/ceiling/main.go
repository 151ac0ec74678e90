// Ceiling applies one Secret in each of many namespaces as fast as an API server takes them, and
// prints the seconds that it took: what a client could reach that costs nothing itself.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	server := flag.String("server", "", "URL of the API server")
	ca := flag.String("ca", "", "file of its certificate authority")
	certificate := flag.String("certificate", "", "file of the client's certificate")
	key := flag.String("key", "", "file of the client's key")
	file := flag.String("namespaces", "", "file that names them")
	connections := flag.Int("connections", 16, "requests at once")
	flag.Parse()

	client := newClient(*ca, *certificate, *key, *connections)
	names, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	// Another one each time: a Secret that is applied as it is, is not written.
	token := make([]byte, 375)
	rand.Read(token)
	data := base64.StdEncoding.EncodeToString(token)
	namespaces := make(chan string)
	var workers sync.WaitGroup
	started := time.Now()
	for range *connections {
		workers.Go(func() {
			for namespace := range namespaces {
				apply(client, *server, namespace, data)
			}
		})
	}
	for _, namespace := range strings.Fields(string(names)) {
		namespaces <- namespace
	}
	close(namespaces)
	workers.Wait()
	fmt.Println(time.Since(started).Seconds())
}

func newClient(ca, certificate, key string, connections int) *http.Client {
	pem, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		log.Fatal(err)
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		MaxIdleConnsPerHost: connections,
	}}
}

func apply(client *http.Client, server, namespace, data string) {
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","type":"Opaque",`+
		`"metadata":{"name":"ceiling","namespace":%q},"data":{"auth-token":%q}}`,
		namespace, data)
	url := server + "/api/v1/namespaces/" + namespace + "/secrets/ceiling?fieldManager=ceiling"
	request, err := http.NewRequest(http.MethodPatch, url, bytes.NewBufferString(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/apply-patch+yaml")
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		log.Fatal(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		log.Fatal(namespace, ": ", response.Status)
	}
}
