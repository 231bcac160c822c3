package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks/termview"
	"github.com/earshotrtc/earshot/internal/audio"
)

const callHelp = `Usage: earshot call -server ADDRESS -pin PIN -user alice -sig SIG [flags] [bob]

Signs in as -user and calls bob, or, without a name, waits to be called. The
server's operator gives you PIN and SIG; "earshot serve" prints both, ready to
copy.

Keys: a answer, r reject, i ignore, in a group call invite, m mute, h hang up,
q quit. Where the input or the output is no terminal, lines that begin with
these letters do the same, such as "i carol".

Sound comes from -mic and goes to -speaker:

  device          the machine's, through parec, arecord or rec, and pacat,
                  aplay or play
  voice.ogg,      a file for -mic, Ogg Opus or WAV, over and over;
  heard.wav       for -speaker a WAV file with what is heard in calls
  speech:alice    a recorded voice for -mic: alice, bob, carol, dave, erin or
                  frank
  none            silence

Without these flags it is the device, or none where no such program is.

A picture comes from -video, an IVF or WebM file with VP8, over and over, as
long as the call lasts. -record writes the first call down: what is heard, and
the picture of the first who has one, to a WebM file, or that picture alone to
an IVF file. A call that is made with either of them is one with video. Ask
before you record.
`

func runCall(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	server := fs.String("server", "localhost:4433", "the server's `address`")
	pin := fs.String("pin", "", "the SHA-256 `hash` of the server's certificate, hex or base64 (default: trust this machine's roots)")
	appID := fs.Uint("app-id", 1, "the application's `number`, the SDKAppID")
	user := fs.String("user", "", "sign in as this `name`")
	sig := fs.String("sig", "", "the user's `UserSig`")
	mic := fs.String("mic", "", "what to say: device, a file, speech:NAME or none")
	speaker := fs.String("speaker", "", "where to hear: device, a WAV file or none")
	film := fs.String("video", "", "what to show: an IVF or WebM `file` with VP8")
	record := fs.String("record", "", "where to record the first call: a WebM `file`, or an IVF file for the picture alone")
	autoAnswer := fs.Bool("auto-answer", false, "answer every call at once")
	level := fs.String("log", "none", "what to log: debug, info, warn, error or none")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *user == "":
		return usagef("-user is missing: who are you?")
	case *sig == "":
		return usagef("-sig is missing: \"earshot sign -user %s\" with the server's key makes one", *user)
	case *appID == 0 || *appID > 1<<32-1:
		return usagef("-app-id %d: it must be 1 to 4294967295", *appID)
	case fs.NArg() == 1 && fs.Arg(0) == *user:
		return usagef("%s cannot call themselves", *user)
	}
	logger, err := newLogger(*level, con)
	if err != nil {
		return err
	}
	if err := needOpus(); err != nil {
		return err
	}
	source, err := openMic(*mic, con)
	if err != nil {
		return fmt.Errorf("-mic: %w", err)
	}
	out, err := openSpeaker(*speaker, con)
	if err != nil {
		return fmt.Errorf("-speaker: %w", err)
	}

	cam, err := openCamera(*film)
	if err != nil {
		return errors.Join(fmt.Errorf("-video: %w", err), out.Close())
	}
	if cam != nil {
		defer cam.Close()
	}
	tape, err := openTape(*record)
	if err != nil {
		return errors.Join(fmt.Errorf("-record: %w", err), out.Close())
	}

	p := newPhone(*user, fs.Arg(0), con)
	p.auto, p.cam, p.tape = *autoAnswer, cam, tape
	dialCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := engine.Dial(dialCtx, engine.ClientConfig{
		Addr: *server, Pin: *pin, SDKAppID: uint32(*appID), UserID: *user, UserSig: *sig, Agent: "earshot-call",
		Codec: libopus.Driver{}, Microphone: source, Listener: p, View: phoneView{p.view, p}, Logger: logger,
	})
	if err != nil {
		return errors.Join(err, out.Close(), tape.discard())
	}
	defer client.Destroy()

	pullCtx, stop := context.WithCancel(ctx)
	pulled := make(chan struct{})
	go func() {
		defer close(pulled)
		p.listen(pullCtx, client, out)
	}()
	raw, restore := rawMode(con)
	defer restore()
	keyCtx, noKeys := context.WithCancel(ctx)
	defer noKeys()
	err = p.run(ctx, client, *server, termview.Keys(keyCtx, con.in, raw))
	stop()
	<-pulled
	return errors.Join(err, out.Close(), tape.finish(func(format string, args ...any) {
		fmt.Fprintf(con.out, format+"\n", args...)
	}))
}

// listen pulls what is heard, at a sound card's pace, and plays it while in a
// call. A loudspeaker that fails is told of once.
func (p *phone) listen(ctx context.Context, client *engine.Client, out speaker) {
	broken := false
	audio.Pull(ctx, audio.RandomPhase(), client.ReadPCM, func(pcm []int16, _ time.Time) error {
		if !p.talking.Load() {
			return nil
		}
		p.tape.hear(pcm)
		if broken {
			return nil
		}
		if err := out.Write(pcm); err != nil {
			broken = true
			p.view.Printf("You hear nothing: %v. -speaker heard.wav writes it down.", err)
		}
		return nil
	})
}
