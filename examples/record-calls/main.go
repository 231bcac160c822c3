// Command record-calls is a server that records a call: a file for each speaker
// who agreed, all equally long and in step, and one with all of them together.
// Carol does not agree, and is in none of them. With -heard there is one more, of
// what that user hears.
//
//	go run ./examples/record-calls [-heard alice] [directory]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
)

func main() {
	dir := "."
	var heard []string
	flag.Func("heard", "record what `user` hears, too; may be given several times", func(user string) error {
		heard = append(heard, user)
		return nil
	})
	flag.Parse()
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	if err := run(context.Background(), os.Stdout, dir, heard...); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, dir string, heard ...string) error {
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, // the users of this example are in this program
		SignIn:    anybody,
		Codec:     libopus.Driver{}, // for the file of all; the speakers' need none
		Plugins:   []hooks.Plugin{{Name: "consent", MayRecord: mayRecord}},
	})
	if err != nil {
		return err
	}
	go srv.Serve()
	defer srv.Close()
	users := make(map[string]*user)
	for i, name := range []string{"alice", "bob", "carol"} {
		u, err := join(ctx, srv, name, &tone{hz: 300 + 200*float64(i)})
		if err != nil {
			return err
		}
		defer u.client.Destroy()
		users[name] = u
	}
	if err := users["alice"].client.GroupCall(ctx, []string{"bob", "carol"}, hooks.MediaAudio, ""); err != nil {
		return err
	}
	call := <-users["bob"].invited
	if err := users["bob"].client.Accept(ctx); err != nil {
		return err
	}

	all, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		return err
	}
	var told []string
	rec, err := record.Start(record.Config{
		Source: srv, CallID: call, Dir: dir, Encoder: all,
		Heard: heard, HeardEncoder: func() (record.Encoder, error) {
			return libopus.Driver{}.NewEncoder(codec.EncoderConfig{Channels: 2, Bitrate: 96000})
		},
		// Yours shows it to the user, as a red dot.
		OnEvent: func(e record.Event) { told = append(told, fmt.Sprintf("recording %s: %s", e.UserID, e.Kind)) },
	})
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	if err := users["carol"].client.Accept(ctx); err != nil { // she comes late
		return err
	}
	time.Sleep(3 * time.Second)
	if err := rec.Stop(); err != nil {
		return err
	}
	slices.Sort(told)
	fmt.Fprintln(out, strings.Join(told, "\n"))
	names := rec.Files()
	slices.Sort(names)
	for _, name := range names {
		length, err := lengthOf(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %.2f s\n", name[strings.LastIndex(name, "-")+1:], length.Seconds())
	}
	return users["alice"].client.Hangup(ctx)
}

// mayRecord is asked before anything of a user is written. Yours looks up what
// they agreed to.
func mayRecord(_ context.Context, req hooks.RecordRequest) error {
	if req.UserID == "carol" {
		return errors.New("carol does not want to be recorded")
	}
	return nil
}

// lengthOf is how long an Ogg Opus file plays.
func lengthOf(path string) (time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, err := ogg.NewReader(f)
	for err == nil {
		_, err = r.NextPacket()
	}
	if err != io.EOF {
		return 0, err
	}
	return time.Duration(r.Samples()) * time.Second / codec.SampleRate, nil
}

func anybody(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
	return hooks.SignIn{}, nil
}

// A user is one user's client.
type user struct {
	hooks.NopListener
	client  *engine.Client
	invited chan string
}

func (u *user) OnInvited(i hooks.Invitation) { u.invited <- i.CallID }

func join(ctx context.Context, srv *engine.Server, name string, mic engine.PCMSource) (*user, error) {
	u := &user{invited: make(chan string, 1)}
	var err error
	u.client, err = engine.Dial(ctx, engine.ClientConfig{
		Dialer: srv.Pipe(), UserID: name, UserSig: "-", Codec: libopus.Driver{}, Microphone: mic, Listener: u,
	})
	return u, err
}

// A tone is a microphone that hears one.
type tone struct {
	hz    float64
	began time.Time
	n     int
}

func (t *tone) ReadPCM(ctx context.Context, pcm []int16) error {
	if t.began.IsZero() {
		t.began = time.Now()
	}
	for i := range pcm {
		pcm[i] = int16(6000 * math.Sin(2*math.Pi*t.hz*float64(t.n)/48000))
		t.n++
	}
	select {
	case <-time.After(time.Until(t.began.Add(time.Duration(t.n) * time.Second / 48000))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
