// Serves the paths that all test servers serve, by net/http.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	small, large := strings.Repeat("s", 612), strings.Repeat("l", 1<<20)
	http.HandleFunc("/small", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, small)
	})
	http.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) {})
	http.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1048576")
		_, _ = io.WriteString(w, large)
	})
	http.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		for n := 0; n < 3; n++ {
			_, _ = io.WriteString(w, "a chunk\n")
			w.(http.Flusher).Flush()
		}
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
