package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/prom"
)

// checkMetrics looks at the address of metrics: what is wrong with it is a wrong
// command line.
func checkMetrics(addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return usagef("-metrics %q: want host:port, such as localhost:9464", addr)
	}
	return nil
}

// serveMetrics serves what a server counts, and what the process uses, at
// /metrics until stop.
func serveMetrics(addr string, srv *engine.Server) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("-metrics: %v", err) // explain takes it for a UDP port otherwise
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(prom.NewCollector(srv), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	h := &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // of whoever tries TLS on it
	}
	done := make(chan struct{})
	go func() { h.Serve(l); close(done) }()
	return fmt.Sprintf("http://%s/metrics", l.Addr()), func() { h.Close(); <-done }, nil
}
