// Verify4 judges tokens as newer OpenStorage servers do.
package main

import (
	"openstorage/golangjwt"
	"openstorage/verdict"
)

func main() {
	verdict.Serve(golangjwt.Judge)
}
