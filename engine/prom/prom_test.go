package prom

import (
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	app = 1400000000
	key = "a key for tests only"
)

// answerer accepts whoever calls.
type answerer struct {
	hooks.NopListener
	client *engine.Client
	begun  chan struct{}
}

func (a *answerer) OnInvited(hooks.Invitation) { a.client.Accept(context.Background()) }
func (a *answerer) OnCallBegin(hooks.CallInfo) { close(a.begun) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a running server exports is what it does, follows the conventions, and has
// no more series than the labels of the engine make.
func TestCollectorOfARunningServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := engine.NewServer(engine.ServerConfig{
			InProcess: true, SDKAppID: app, Key: key,
			Plugins: []hooks.Plugin{
				{Name: "door", MayCall: func(context.Context, hooks.CallRequest) error { return nil }},
				{Name: "door", Observe: func(hooks.Event) { panic("oh") }}, // of the same name
			},
		})
		must(t, err)
		served := make(chan struct{})
		go func() { srv.Serve(); close(served) }()
		defer func() { srv.Close(); <-served }()
		reg := prometheus.NewPedanticRegistry()
		must(t, reg.Register(NewCollector(srv)))
		series := func() int {
			n, err := testutil.GatherAndCount(reg)
			must(t, err)
			return n
		}
		before := series()

		users := make(map[string]*answerer)
		for _, user := range []string{"alice", "bob"} {
			sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
			must(t, err)
			a := &answerer{begun: make(chan struct{})}
			a.client, err = engine.Dial(t.Context(), engine.ClientConfig{
				Dialer: srv.Pipe(), SDKAppID: app, UserID: user, UserSig: sig, Codec: pionopus.Driver{}, Listener: a,
			})
			must(t, err)
			users[user] = a
		}
		must(t, users["alice"].client.Call(t.Context(), "bob", hooks.MediaAudio))
		<-users["alice"].begun
		<-users["bob"].begun
		must(t, users["alice"].client.Hangup(t.Context()))
		synctest.Wait()

		problems, err := testutil.GatherAndLint(reg)
		must(t, err)
		for _, p := range problems {
			t.Errorf("lint: %s: %s", p.Metric, p.Text)
		}
		if n := series(); n != before {
			t.Errorf("%d series became %d: a label grows with use", before, n)
		}
		must(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP earshot_calls_started_total Calls that were made.
# TYPE earshot_calls_started_total counter
earshot_calls_started_total 1
# HELP earshot_sign_ins_total Sign-ins that were let in.
# TYPE earshot_sign_ins_total counter
earshot_sign_ins_total 2
# HELP earshot_users Users who are signed in.
# TYPE earshot_users gauge
earshot_users 2
`), "earshot_calls_started_total", "earshot_sign_ins_total", "earshot_users"))
		got := gathered(t, reg)
		for name, want := range map[string]float64{
			"earshot_hook_seconds MayCall door": 1, "earshot_calls_ended_total hangup": 1, "earshot_hook_failures_total MayCall door": 0,
			"earshot_drops_total audio send queue_full": 0, "earshot_refusals_total refused_by_the_host": 0,
		} {
			if n, there := got[name]; n != want || !there {
				t.Errorf("%s is %v, want %v", name, n, want)
			}
		}
		if n := got["earshot_hook_panics_total Observe door"]; n < 5 || n != got["earshot_hook_seconds Observe door"] {
			t.Errorf("%v panics of Observe in %v calls", n, got["earshot_hook_seconds Observe door"])
		}
		for _, a := range users {
			a.client.Destroy()
			<-a.client.Done()
		}
	})
}

// names are those of all metrics.
func names(t *testing.T) map[string]bool {
	named := regexp.MustCompile(`fqName: "([^"]+)"`)
	out := make(map[string]bool)
	for _, m := range metrics {
		out[named.FindStringSubmatch(m.desc.String())[1]] = true
	}
	return out
}

// Each metric of the dashboard's queries is one that the collector exports, and
// each that it exports is on the dashboard.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("dashboard.json")
	must(t, err)
	var board struct {
		Title, UID string
		Panels     []struct {
			Title, Type, Description string
			ID                       int
			GridPos                  struct{ H, W, X, Y int }
			Targets                  []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(b, &board))
	exported, shown := names(t), make(map[string]bool)
	ids, said := make(map[int]bool), make(map[string]string)
	metric := regexp.MustCompile(`earshot_[a-z_]+`)
	for _, p := range board.Panels {
		if ids[p.ID] || p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q: its ID %d or its place %+v is wrong", p.Title, p.ID, p.GridPos)
		}
		ids[p.ID] = true
		if other := said[p.Description]; other != "" && p.Description != "" {
			t.Errorf("panel %q says of itself what %q does", p.Title, other)
		}
		said[p.Description] = p.Title
		sizes := 0 // targets that are bytes
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			if strings.Contains(target.Expr, "bytes") {
				sizes++
			}
			if found := metric.FindAllString(target.Expr, -1); len(found) == 0 {
				t.Errorf("panel %q: no metric in %s", p.Title, target.Expr)
			}
			for _, name := range metric.FindAllString(target.Expr, -1) {
				for _, part := range []string{"_bucket", "_sum", "_count"} {
					name = strings.TrimSuffix(name, part)
				}
				if shown[name] = true; !exported[name] {
					t.Errorf("panel %q asks for %s, which is not exported", p.Title, name)
				}
			}
		}
		if sizes != 0 && sizes != len(p.Targets) {
			t.Errorf("panel %q shows bytes and others on one axis", p.Title)
		}
	}
	for name := range exported {
		if !shown[name] {
			t.Errorf("%s is on no panel", name)
		}
	}
	if len(board.Panels) < 15 || board.Title == "" || board.UID == "" {
		t.Errorf("%d panels, title %q, uid %q", len(board.Panels), board.Title, board.UID)
	}
}

// A plugin may be called anything: no label of Prometheus's can hold what is not
// UTF-8.
func TestPluginWithAnyName(t *testing.T) {
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, SDKAppID: app, Key: key,
		Plugins: []hooks.Plugin{{Name: "\xff\"\n", Observe: func(hooks.Event) {}}},
	})
	must(t, err)
	defer srv.Close()
	reg := prometheus.NewPedanticRegistry()
	must(t, reg.Register(NewCollector(srv)))
	_, named := gathered(t, reg)["earshot_hook_running Observe \uFFFD\"\n"]
	if !named {
		t.Error("the plugin is not there")
	}
}

// Nothing but this package, and programs, brings Prometheus in.
func TestOnlyThisPackageImportsPrometheus(t *testing.T) {
	root := filepath.Join("..", "..")
	here := filepath.Join(root, "engine", "prom")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || path == here || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".git") {
				return fs.SkipDir // another module, or this package
			}
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		switch dir, _, _ := strings.Cut(strings.TrimPrefix(path, root+string(filepath.Separator)), string(filepath.Separator)); dir {
		case "cmd", "examples":
			return nil // programs may
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, i := range f.Imports {
			if strings.Contains(i.Path.Value, "prometheus") || strings.HasSuffix(i.Path.Value, `/engine/prom"`) {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
		return nil
	})
	must(t, err)
	if files < 200 {
		t.Errorf("only %d files were looked at", files)
	}
}
