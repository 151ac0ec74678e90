// Csi is a small CSI driver that asks for tokens as Portworx does: it stands for Portworx in tests.
//
// OpenStorage's own code says whom a token is for and whom a volume belongs to (pkg/auth, api). What
// each call asks of it, and the words of its refusals, are those of OpenStorage's CSI driver and SDK
// server (csi/, api/server/sdk/), which can't be built from the module. Volumes are directories.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverName = "pxd.portworx.com"

func main() {
	socket := flag.String("socket", "/run/csi/csi.sock", "where to serve CSI")
	state := flag.String("state", "/var/lib/portworx", "folder for the volumes")
	registry := flag.String("registry", "", "the kubelet's folder plugins_registry, to be found there")
	node := flag.String("node", "node", "the name of this node")
	issuer := flag.String("jwt_issuer", os.Getenv("PORTWORX_AUTH_JWT_ISSUER"), "who signs")
	flag.Parse()

	guard, err := newGuard(*issuer, []byte(os.Getenv("PORTWORX_AUTH_JWT_SHAREDSECRET")))
	if err != nil {
		log.Fatal(err)
	}
	d := &driver{guard: guard, store: store{*state}, node: *node}
	server := grpc.NewServer(grpc.UnaryInterceptor(logged))
	csi.RegisterIdentityServer(server, d)
	csi.RegisterControllerServer(server, d)
	csi.RegisterNodeServer(server, d)
	if *registry != "" {
		kubelet := grpc.NewServer()
		registration.RegisterRegistrationServer(kubelet, registrar{socket: *socket})
		go serve(kubelet, filepath.Join(*registry, driverName+"-reg.sock"))
	}
	serve(server, *socket)
}

func serve(server *grpc.Server, socket string) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		log.Fatal(err)
	}
	// What an earlier process left there would be in the way.
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}
