// TLS by Go's own library. `tls server ADDRESS CERTIFICATE KEY` sends each client as many bytes as it asks for and waits for
// its end; `tls client ADDRESS NAME AUTHORITY BYTES` asks, prints the cipher suite, and waits for its own;
// the server prints the first group that a client offers.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
)

func main() {
	if os.Args[1] == "server" {
		serve(os.Args[2], os.Args[3], os.Args[4])
	} else {
		ask(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	}
}

func serve(address, certificate, key string) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"bytes"}}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		fmt.Println("group", uint16(hello.SupportedCurves[0]))
		return nil, nil
	}
	listener, err := tls.Listen("tcp", address, config)
	check(err)
	fmt.Println("listening")
	for {
		connection, err := listener.Accept()
		check(err)
		go func() {
			defer connection.Close()
			var wanted uint64
			if binary.Read(connection, binary.BigEndian, &wanted) == nil {
				_, _ = io.Copy(connection, io.LimitReader(zeros{}, int64(wanted)))
				_, _ = io.Copy(io.Discard, connection)
			}
		}()
	}
}

func ask(address, name, authority, bytes string) {
	text, err := os.ReadFile(authority)
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	config := &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"bytes"}}
	connection, err := tls.Dial("tcp", address, config)
	check(err)
	state := connection.ConnectionState()
	fmt.Println("cipher", tls.CipherSuiteName(state.CipherSuite))
	var wanted uint64
	_, err = fmt.Sscan(bytes, &wanted)
	check(err)
	check(binary.Write(connection, binary.BigEndian, wanted))
	_, err = io.CopyN(io.Discard, connection, int64(wanted))
	check(err)
	fmt.Println("received")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_, _ = connection.Read(make([]byte, 1))
}

type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) {
	for index := range buffer {
		buffer[index] = 0
	}
	return len(buffer), nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
