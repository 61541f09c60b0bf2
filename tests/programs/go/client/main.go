// Makes the requests of all test clients, by net/http, and prints a line for each: method, path, status, bytes sent, bytes received.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	// Bodies: none, short, or long ones too.
	base, bodies := os.Args[1], os.Args[2]
	for n := 0; n < 20; n++ {
		do(base, "GET", "/small", "")
	}
	do(base, "GET", "/empty", "")
	do(base, "GET", "/large", "")
	do(base, "GET", "/missing", "")
	do(base, "HEAD", "/small", "")
	if bodies != "none" {
		do(base, "POST", "/small", "some form data")
		do(base, "DELETE", "/small", "")
	}
	if bodies == "long" {
		do(base, "PUT", "/small", strings.Repeat("p", 100000))
	}
}

func do(base, method, path, body string) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, base+path, reader)
	if err != nil {
		log.Fatal(err)
	}
	// Else the transport takes gzip on its own account and hides the size.
	request.Header.Set("Accept-Encoding", "identity")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	received, err := io.Copy(io.Discard, answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	_ = answer.Body.Close()
	fmt.Println(method, path, answer.StatusCode, len(body), received)
}
