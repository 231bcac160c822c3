package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/termview"
	"github.com/earshotrtc/earshot/internal/video"
)

// guest is the person at the page of a stage.
type guest struct {
	hooks.NopListener
	events chan string
}

func (g *guest) OnInvited(inv hooks.Invitation) {
	g.events <- "invited by " + inv.SponsorInfo.Nick + " " + inv.Media.String()
}
func (g *guest) OnCallBegin(hooks.CallInfo) { g.events <- "begin" }
func (g *guest) OnCallEnd(_ hooks.CallInfo, why hooks.EndReason, _ time.Duration) {
	g.events <- "end " + why.String()
}
func (g *guest) OnUserVideoAvailable(u string, on bool) { g.events <- "video " + u + " " + onOff(on) }
func (g *guest) OnFirstVideoFrame(u string, _, _ int)   { g.events <- "seen " + u }

func (g *guest) want(t *testing.T, want string) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case e := <-g.events:
			if e == want {
				return
			}
		case <-late:
			t.Fatalf("no %q came", want)
		}
	}
}

// A person comes by the link, which was opened, too; has alice call them and bob
// with video, calls the echo, and ends it.
func TestStage(t *testing.T) {
	needLibopus(t)
	out := newOutput()
	keys := make(chan string)
	opened := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- runStage(context.Background(), stageConfig{
			Board: termview.NewBoard(out, nil), Keys: keys, Ring: -1,
			Open: func(link string) error { opened <- link; return nil },
		})
	}()
	link := <-opened
	if !strings.Contains(out.String(), link) || !strings.HasPrefix(link, "http://127.0.0.1:") {
		t.Errorf("opened %q, and printed %q", link, out)
	}
	keys <- "a"
	out.wait(t, "Open the link first")

	you := &guest{events: make(chan string, 100)}
	v := visit(t, link, nil)
	client, _ := v.signIn(t, you, nil)
	out.wait(t, "you    signed in")
	if got := v.contacts(t); len(got) != 3 || got[0] != (contact{"alice", "Alice", true}) || got[2] != (contact{"echo", "Echo", true}) {
		t.Errorf("contacts %v", got)
	}
	ctx := t.Context()
	keys <- "a"
	you.want(t, "invited by Alice audio")
	if err := client.Reject(ctx); err != nil {
		t.Fatal(err)
	}
	out.wait(t, "alice  OnReject you")
	keys <- "?" // is nothing
	keys <- "B"
	you.want(t, "invited by Bob video")
	if err := client.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	you.want(t, "video bob on")
	if err := client.StartRemoteView(ctx, "bob", &video.Sink{}); err != nil {
		t.Fatal(err)
	}
	you.want(t, "seen bob")
	if err := client.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	you.want(t, "end hangup")
	if err := client.Call(ctx, "echo", hooks.MediaAudio); err != nil {
		t.Fatal(err)
	}
	you.want(t, "begin")
	keys <- "l"
	out.waitFor(t, "userID=you", 2)
	keys <- "\x03"
	if err := <-ended; err != nil {
		t.Error(err)
	}
	you.want(t, "end hangup") // the echo has gone
	<-client.Done()           // and then the server, which said so
}

// What stops the program ends the stage, and so does the end of the keys.
func TestStageEnds(t *testing.T) {
	needLibopus(t)
	for name, end := range map[string]func(stop func(), keys chan string){
		"interrupted":  func(stop func(), _ chan string) { stop() },
		"no more keys": func(_ func(), keys chan string) { close(keys) },
		"quit":         func(_ func(), keys chan string) { keys <- "q" },
	} {
		ctx, stop := context.WithCancel(context.Background())
		out, keys, ended := newOutput(), make(chan string), make(chan error, 1)
		go func() { ended <- runStage(ctx, stageConfig{Board: termview.NewBoard(out, nil), Keys: keys}) }()
		out.wait(t, "userID=you")
		end(stop, keys)
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		stop()
	}
}

func TestDesktopProgram(t *testing.T) {
	for _, c := range []struct{ goos, name, want string }{
		{"linux", "", ""}, {"linux", "DISPLAY", "xdg-open"}, {"freebsd", "WAYLAND_DISPLAY", "xdg-open"},
		{"darwin", "", "open"}, {"windows", "DISPLAY", ""},
	} {
		if got := desktopProgram(c.goos, func(k string) string { return map[string]string{c.name: ":0"}[k] }); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.goos, c.name, got, c.want)
		}
	}
}
