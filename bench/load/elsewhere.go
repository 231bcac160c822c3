package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An elsewhere is a server that was there before, and is asked for its metrics.
type elsewhere struct {
	ctx  context.Context
	url  string // of the metrics, or empty
	http *http.Client
}

const (
	// askTime is how long a server elsewhere may take to answer at all.
	askTime = 10 * time.Second
	// maxMetrics is how many bytes of metrics are read at most.
	maxMetrics = 16 << 20
)

// openElsewhere signs somebody in and out again, so that what is wrong shows
// before anything else is done.
func openElsewhere(ctx context.Context, s Server) (ready, measured, error) {
	at := ready{Addr: s.Addr, Pin: s.Pin, AppID: s.AppID, Key: s.Key}
	first, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, err := join(first, at, newNames()+"first", nil, nil)
	if err != nil {
		return at, nil, err
	}
	p.close()
	e := elsewhere{ctx, s.Metrics, &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}}
	if _, _, err := e.mark(); err != nil {
		e.close()
		return at, nil, err
	}
	return at, e, nil
}

func (e elsewhere) close() { e.http.CloseIdleConnections() }

func (e elsewhere) mark() (m mark, known bool, err error) {
	if e.url == "" {
		return m, false, nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return m, false, fmt.Errorf("load: the server's metrics: %w", err)
	}
	res, err := e.http.Do(req)
	if err != nil {
		return m, false, fmt.Errorf("load: the server's metrics: %w", err)
	}
	defer res.Body.Close() // all of it was read, so the connection is kept
	if res.StatusCode != http.StatusOK {
		return m, false, fmt.Errorf("load: the server's metrics: %s says %s", e.url, res.Status)
	}
	m, err = readMetrics(res.Body)
	if err != nil {
		return m, false, fmt.Errorf("load: the server's metrics: %s: %w", e.url, err)
	}
	return m, true, nil
}

// readMetrics reads Prometheus's text format, of which it wants what has no
// labels. What a figure of costs is made of must be there.
func readMetrics(r io.Reader) (m mark, err error) {
	values := make(map[string]float64)
	in := bufio.NewScanner(io.LimitReader(r, maxMetrics))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		fields := strings.Fields(in.Text())
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if v, err := strconv.ParseFloat(fields[1], 64); err == nil && v >= 0 {
			values[fields[0]] = v
		}
	}
	if err := in.Err(); err != nil {
		return m, err
	}
	for _, name := range []string{"process_cpu_seconds_total", "process_resident_memory_bytes", "earshot_participants"} {
		if _, ok := values[name]; !ok {
			return m, fmt.Errorf("there is no %s", name)
		}
	}
	m.CPU = time.Duration(values["process_cpu_seconds_total"] * float64(time.Second))
	m.Peak = int64(values["process_resident_memory_bytes"])
	m.Participants = int(values["earshot_participants"])
	m.Mallocs = uint64(values["go_memstats_mallocs_total"])
	m.LockWait = time.Duration(values["go_sync_mutex_wait_total_seconds_total"] * float64(time.Second))
	m.Mix.Ticks = uint64(values["earshot_mix_ticks_total"])
	m.Mix.Late = uint64(values["earshot_mix_late_ticks_total"])
	m.Mix.Skipped = uint64(values["earshot_mix_skipped_ticks_total"])
	m.Mix.Decoded = uint64(values["earshot_mix_decoded_frames_total"])
	m.Mix.Encoded = uint64(values["earshot_mix_encoded_frames_total"])
	m.Mix.Packets = uint64(values["earshot_mix_packets_total"])
	m.Mix.Rooms = int(values["earshot_mixes"])
	return m, nil
}

// onLoopback reports whether an address is one of this machine's own loopback.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
