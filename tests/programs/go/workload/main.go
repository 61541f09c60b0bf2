// What runs in the pods of the Kubernetes stories: servers that say who they are, and clients that keep a ledger of
// who answered. Who a process is, is in the variable IDENTITY.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const usage = `one of, please:
  serve PORT              answer with the status that begins the path, and say who answers
  once PORT               answer one request, and end
  proxy PORT URL          pass requests on
  load URL COUNT [RATE]   make so many requests, so many a second, and print the ledger
  knock URL               ask until somebody answers, once, and print the ledger
  wait                    do nothing until SIGTERM
  send URL TOKEN          send every line of the input, METHOD PATH BODY, to an API server`

// In the answer of a proxy: who passed it on.
const through = "X-Through"

// After so many requests a connection is given up, so that the next one finds another server.
const requestsPerConnection = 10

// How long a server that is told to end still serves: nobody tells its clients to go elsewhere before.
const farewell = 2 * time.Second

var (
	began    = time.Now()
	identity = os.Getenv("IDENTITY")
)

// Who answered how many requests, and through whom. Failed ones had no answer.
type ledger struct {
	Client  string         `json:"client"`
	Answers map[string]int `json:"answers"`
	Through map[string]int `json:"through"`
	Failed  int            `json:"failed"`
}

func main() {
	verb, arguments := "", []string(nil)
	if len(os.Args) > 1 {
		verb, arguments = os.Args[1], os.Args[2:]
	}
	switch {
	case verb == "serve" && len(arguments) == 1:
		serve(arguments[0], http.HandlerFunc(answer))
	case verb == "once" && len(arguments) == 1:
		once(arguments[0])
	case verb == "proxy" && len(arguments) == 2:
		serve(arguments[0], proxy(must(url.Parse(arguments[1]))))
	case verb == "load" && len(arguments) == 2:
		load(arguments[0], must(strconv.Atoi(arguments[1])), 0)
	case verb == "load" && len(arguments) == 3:
		load(arguments[0], must(strconv.Atoi(arguments[1])), must(strconv.Atoi(arguments[2])))
	case verb == "knock" && len(arguments) == 1:
		knock(arguments[0])
	case verb == "wait" && len(arguments) == 0:
		<-told()
	case verb == "send" && len(arguments) == 2:
		send(arguments[0], arguments[1])
	default:
		log.Fatal(usage)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// The signal to end.
func told() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	return signals
}

func serve(port string, handler http.Handler) {
	server := &http.Server{Addr: ":" + port, Handler: handler}
	ended := make(chan struct{})
	go func() {
		<-told()
		time.Sleep(farewell)
		_ = server.Shutdown(context.Background())
		close(ended)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
}

// Of /230/any/thing, 230.
func status(path string) int {
	begin, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if status, err := strconv.Atoi(begin); err == nil && status >= 200 && status < 600 {
		return status
	}
	return http.StatusNotFound
}

func answer(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(status(r.URL.Path))
	_, _ = io.WriteString(w, identity)
}

func proxy(upstream *url.URL) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	proxy.ModifyResponse = func(answer *http.Response) error {
		answer.Header.Set(through, identity)
		return nil
	}
	return proxy
}

func once(port string) {
	listener := must(net.Listen("tcp", ":"+port))
	connection := must(listener.Accept())
	request := must(http.ReadRequest(bufio.NewReader(connection)))
	must(fmt.Fprintf(connection, "HTTP/1.1 %d Once\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status(request.URL.Path), len(identity), identity))
	_ = connection.Close()
	fmt.Printf("{\"milliseconds\":%d}\n", time.Since(began).Milliseconds())
}

func load(target string, count, rate int) {
	book := ledger{identity, map[string]int{}, map[string]int{}, 0}
	client := &http.Client{Timeout: 10 * time.Second}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var ticks <-chan time.Time
	if rate > 0 {
		ticks = time.NewTicker(time.Second / time.Duration(rate)).C
	}
	for number := 0; number < count; number++ {
		if ticks != nil {
			<-ticks
		}
		if number%requestsPerConnection == 0 {
			client.CloseIdleConnections()
		}
		book.add(client.Get(target))
	}
	book.print()
}

func knock(target string) {
	book := ledger{identity, map[string]int{}, map[string]int{}, 0}
	// An address that nobody has yet answers nothing, not even an error.
	dialer := net.Dialer{Timeout: 20 * time.Millisecond}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}, Timeout: time.Second}
	for len(book.Answers) == 0 && time.Since(began) < time.Minute {
		book.add(client.Get(target))
		time.Sleep(time.Millisecond)
	}
	book.Failed = 0
	book.print()
}

func (book *ledger) add(answer *http.Response, err error) {
	if err != nil {
		book.Failed++
		return
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		book.Failed++
		return
	}
	book.Answers[string(body)]++
	if proxy := answer.Header.Get(through); proxy != "" {
		book.Through[proxy]++
	}
}

func (book *ledger) print() {
	fmt.Println(string(must(json.Marshal(book))))
}

func send(server, token string) {
	// The server's certificate is its own.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 16}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	lines, sent := make(chan string), sync.WaitGroup{}
	for worker := 0; worker < 16; worker++ {
		sent.Add(1)
		go func() {
			defer sent.Done()
			for line := range lines {
				words := strings.SplitN(line, " ", 3)
				request := must(http.NewRequest(words[0], server+words[1], strings.NewReader(words[2])))
				request.Header.Set("Authorization", "Bearer "+token)
				request.Header.Set("Content-Type", "application/json")
				if words[0] == http.MethodPatch {
					request.Header.Set("Content-Type", "application/merge-patch+json")
				}
				answer := must(client.Do(request))
				body := must(io.ReadAll(answer.Body))
				_ = answer.Body.Close()
				if answer.StatusCode >= 300 {
					log.Fatalf("%s %s: %s: %s", words[0], words[1], answer.Status, body)
				}
			}
		}()
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		lines <- input.Text()
	}
	close(lines)
	sent.Wait()
}
