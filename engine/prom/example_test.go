package prom_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/prom"
)

// A server's metrics at /metrics, for Prometheus to scrape.
func ExampleNewCollector() {
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SDKAppID: 1400000000, Key: "a key for examples only"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	reg := prometheus.NewRegistry()
	reg.MustRegister(prom.NewCollector(srv))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))

	web := httptest.NewServer(mux) // of your own: http.ListenAndServe("127.0.0.1:9464", mux)
	defer web.Close()
	res, err := http.Get(web.URL + "/metrics")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	page, _ := io.ReadAll(res.Body)
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "earshot_users") || strings.HasPrefix(line, "earshot_rooms") {
			fmt.Print(line)
		}
	}
	// Output:
	// earshot_rooms{mode="forward"} 0
	// earshot_rooms{mode="mix"} 0
	// earshot_rooms{mode="world"} 0
	// earshot_users 0
}
