// Prometheus' own receiver of OTLP, storage and query engine, without the rest of Prometheus: Debian builds its package
// without the receiver. Configured by the `otlp` section of a Prometheus configuration file.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
)

// One series of an answer, as Prometheus' API has it.
type series struct {
	Metric    map[string]string `json:"metric"`
	Value     *[2]any           `json:"value,omitempty"`
	Histogram *[2]any           `json:"histogram,omitempty"`
}

func main() {
	listen := flag.String("web.listen-address", "127.0.0.1:9090", "where to listen")
	file := flag.String("config.file", "prometheus.yml", "whose section otlp is used")
	data := flag.String("storage.tsdb.path", "data", "where to store")
	flag.Parse()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	text, err := os.ReadFile(*file)
	exit(err)
	configuration, err := config.Load(string(text), logger)
	exit(err)
	options := tsdb.DefaultOptions()
	options.EnableNativeHistograms = true
	options.OutOfOrderTimeWindow = (30 * time.Minute).Milliseconds()
	storage, err := tsdb.Open(*data, logger, nil, options, nil)
	exit(err)
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: logger, MaxSamples: 1_000_000, Timeout: 10 * time.Second, LookbackDelta: 5 * time.Minute,
	})
	current := func() config.Config { return *configuration }
	receiver := remote.NewOTLPWriteHandler(logger, prometheus.NewRegistry(), storage, current, remote.OTLPOptions{})
	http.Handle("/api/v1/otlp/v1/metrics", receiver)
	http.HandleFunc("/-/ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/api/v1/query", func(answer http.ResponseWriter, request *http.Request) {
		all, err := ask(request.Context(), engine, storage, request.FormValue("query"))
		answer.Header().Set("Content-Type", "application/json")
		if err != nil {
			answer.WriteHeader(http.StatusBadRequest)
			exit(json.NewEncoder(answer).Encode(map[string]string{"status": "error", "error": err.Error()}))
			return
		}
		told := map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": all}}
		exit(json.NewEncoder(answer).Encode(told))
	})
	exit(http.ListenAndServe(*listen, nil))
}

func ask(ctx context.Context, engine *promql.Engine, storage *tsdb.DB, expression string) ([]series, error) {
	query, err := engine.NewInstantQuery(ctx, storage, nil, expression, time.Now())
	if err != nil {
		return nil, err
	}
	defer query.Close()
	vector, err := query.Exec(ctx).Vector()
	if err != nil {
		return nil, err
	}
	all := []series{}
	for _, sample := range vector {
		number := func(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
		at := float64(sample.T) / 1000
		one := series{Metric: sample.Metric.Map()}
		if sample.H != nil {
			told := map[string]string{"count": number(sample.H.Count), "sum": number(sample.H.Sum)}
			one.Histogram = &[2]any{at, told}
		} else {
			one.Value = &[2]any{at, number(sample.F)}
		}
		all = append(all, one)
	}
	return all, nil
}

func exit(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
