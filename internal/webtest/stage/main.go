// Command stage is what the browser tests act on: a calling server, the pages
// beside it, a network that can be made bad, and users in Go with a tone for a
// voice. It is driven by JSON lines on stdin, {"id":1,"do":"start",…}, each
// answered by one on stdout, {"id":1,…} or {"id":1,"error":"…"}. It ends when
// stdin does. It is for tests alone.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1)
	}
}

func run() error {
	var st stage
	defer st.stop()
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var req request
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			return err
		}
		answer, err := st.do(req)
		if answer == nil {
			answer = make(map[string]any)
		}
		answer["id"] = req.ID
		if err != nil {
			answer["error"] = err.Error()
		}
		mu.Lock()
		err = out.Encode(answer)
		mu.Unlock()
		if err != nil {
			return err
		}
	}
	return in.Err()
}

// A request is a line on stdin. What of it counts, Do says.
type request struct {
	ID int    `json:"id"`
	Do string `json:"do"`

	// start
	CallTimeoutMS int    `json:"callTimeoutMS"` // default that of the server
	Relay         bool   `json:"relay"`         // pages go through a relay: see network
	Mode          string `json:"mode"`          // "mix", or default "forward"
	Pages         string `json:"pages"`         // the folder of the tests' own pages
	Repository    string `json:"repository"`    // its root, for the pages of examples

	// for a user
	User   string    `json:"user"`
	To     []string  `json:"to"`
	Video  bool      `json:"video"`
	Muted  bool      `json:"muted"`
	Custom bool      `json:"custom"`
	Text   string    `json:"text"` // a nick, a group's ID, words
	Tone   float64   `json:"tone"` // Hz
	Answer bool      `json:"answer"`
	MS     int       `json:"ms"`
	Hz     []float64 `json:"hz"`

	// network
	Down bool    `json:"down"`
	Loss float64 `json:"loss"` // 0 to 1
	// DelayMS is for each way.
	DelayMS int `json:"delayMS"`
}

var errNotStarted = errors.New("not started")

// do carries a request out.
func (st *stage) do(req request) (map[string]any, error) {
	switch req.Do {
	case "start":
		return st.start(req)
	case "memory":
		return memory()
	}
	if st.calls == nil {
		return nil, errNotStarted
	}
	switch req.Do {
	case "stop":
		return nil, st.stop()
	case "restart":
		return nil, st.restart()
	case "link":
		link, err := st.link(req.User, req.Text)
		return map[string]any{"link": link}, err
	case "credentials":
		return st.credentials(req.User)
	case "network":
		return nil, st.network(req)
	case "kick":
		return nil, st.calls.Kick(req.User, "a test wants it")
	case "route":
		st.route(req.User, req.Custom)
		return nil, nil
	case "online":
		return map[string]any{"users": st.calls.Online()}, nil
	case "client":
		return nil, st.join(req)
	}
	u, err := st.user(req.User)
	if err != nil {
		return nil, err
	}
	if req.Do == "leave" {
		return nil, st.leave(req.User)
	}
	return u.do(req)
}
