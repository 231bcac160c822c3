package record_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashChild(dir)
	}
	if !libopus.Available {
		fmt.Println("built without cgo: nothing is tested")
		return
	}
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A disk is files in memory.
type disk struct {
	mu    sync.Mutex
	files map[string]*memFile
	room  int // bytes, if above 0
}

type memFile struct {
	d *disk
	bytes.Buffer
	closed bool
}

var errFull = io.ErrShortWrite // stands for a full disk

func (d *disk) create(name string) (io.WriteCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = make(map[string]*memFile)
	}
	f := &memFile{d: d}
	d.files[name] = f
	return f, nil
}

func (f *memFile) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.room > 0 {
		if f.d.room -= len(b); f.d.room <= 0 {
			f.d.room = 1
			return 0, errFull
		}
	}
	return f.Buffer.Write(b)
}

func (f *memFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.closed = true
	return nil
}

// of returns the file of a user.
func (d *disk) of(t testing.TB, user, ext string) []byte {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.files {
		if bytes.HasSuffix([]byte(name), []byte("-"+user+ext)) {
			return bytes.Clone(f.Bytes())
		}
	}
	t.Fatalf("there is no file of %s among %d", user, len(d.files))
	return nil
}

// readOgg reads a file without decoding it.
func readOgg(t testing.TB, file []byte) (packets int, samples int64) {
	t.Helper()
	r, err := ogg.NewReader(bytes.NewReader(file))
	must(t, err)
	for {
		if _, err := r.NextPacket(); err == io.EOF {
			return packets, r.Samples()
		} else if err != nil {
			t.Fatal(err)
		}
		packets++
	}
}

// decode returns the sound of an Ogg file, and how long it says it is.
func decode(t testing.TB, file []byte) (pcm []int16, samples int64) {
	t.Helper()
	r, err := ogg.NewReader(bytes.NewReader(file))
	must(t, err)
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	must(t, err)
	pcm, err = ogg.ReadPCM(r, dec, 1)
	must(t, err)
	return pcm, r.Samples()
}

// A player is a microphone with recorded speech in which chirps mark the time.
type player struct {
	packets [][]byte
	marked  []int16
	at      []int
	ppm     float64                          // by which its clock is slow
	quiet   func(elapsed time.Duration) bool // nothing is sent
	began   time.Time
	n       int
}

var encoded sync.Map

func newPlayer(t testing.TB, voice string, ppm float64, quiet func(time.Duration) bool) *player {
	t.Helper()
	p := &player{ppm: ppm, quiet: quiet}
	if e, ok := encoded.Load(voice); ok {
		o := e.(*player)
		p.packets, p.marked, p.at = o.packets, o.marked, o.at
		return p
	}
	pcm := speech.PCM(voice)
	pcm = pcm[:len(pcm)/960*960]
	p.marked, p.at = audio.Markers(pcm, time.Second)
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{Bitrate: 32000})
	must(t, err)
	for at := 0; at < len(p.marked); at += 960 {
		b := make([]byte, codec.MaxPacketSize)
		n, err := enc.Encode(p.marked[at:at+960], b)
		must(t, err)
		p.packets = append(p.packets, b[:n])
	}
	encoded.Store(voice, p)
	return p
}

// real is how long a sample of the source's takes to come, by the true clock.
func (p *player) real(sample int) time.Duration {
	return time.Duration(float64(sample) / 48000 * (1 + p.ppm*1e-6) * float64(time.Second))
}

func (p *player) ReadOpus(ctx context.Context, buf []byte) (int, time.Duration, error) {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	p.n++
	due := p.real(p.n * 960)
	select {
	case <-time.After(time.Until(p.began.Add(due))):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if p.quiet != nil && p.quiet(due) {
		return 0, 20 * time.Millisecond, nil
	}
	return copy(buf, p.packets[(p.n-1)%len(p.packets)]), 20 * time.Millisecond, nil
}

// A mark is a chirp that was looked for in a file.
type mark struct {
	at    time.Duration // when it was said, from the recording's beginning
	error time.Duration // how much later it is in the file
	found bool
}

// marks looks for the chirps that were said between two times of a recording.
func (p *player) marks(pcm []int16, began time.Time, from, to time.Duration) (all []mark) {
	loop := len(p.marked)
	for round := 0; ; round++ {
		for _, at := range p.at {
			said := p.began.Add(p.real(round*loop + at)).Sub(began)
			if said < from {
				continue
			}
			if said > to {
				return all
			}
			const around = 80 * 48
			place := int(math.Round(said.Seconds() * 48000))
			if place < around || place+around+576 > len(pcm) {
				continue
			}
			k, c := audio.Find(pcm[place-around:place+around+576], p.marked[at:at+576])
			all = append(all, mark{said, time.Duration(k-around) * time.Second / 48000, c > 0.7})
		}
	}
}

// A phone is a client that answers.
type phone struct {
	hooks.NopListener
	client  *engine.Client
	invited chan string
	begun   chan bool
}

func (p *phone) OnInvited(i hooks.Invitation) { p.invited <- i.CallID }
func (p *phone) OnCallBegin(hooks.CallInfo)   { p.begun <- true }

// A world is a server on a simulated network, and users.
type world struct {
	t      *testing.T
	net    *simnet.Network
	at     *simnet.Conn
	srv    *engine.Server
	users  int
	callID string
}

func newWorld(t *testing.T, l simnet.Link, mayRecord func(hooks.RecordRequest) error, change func(*engine.ServerConfig)) *world {
	t.Helper()
	w := &world{t: t, net: simnet.New(simnet.Config{Seed: 7, Link: l})}
	t.Cleanup(func() { w.net.Close() })
	var err error
	w.at, err = w.net.Endpoint("10.0.0.1:4433")
	must(t, err)
	cfg := engine.ServerConfig{
		Conn:   w.at,
		SignIn: func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil },
		Plugins: []hooks.Plugin{{
			Name:      "consent",
			MayRecord: func(_ context.Context, req hooks.RecordRequest) error { return mayRecord(req) },
		}},
	}
	if change != nil {
		change(&cfg)
	}
	w.srv, err = engine.NewServer(cfg)
	must(t, err)
	must(t, w.srv.Listen())
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve() }()
	t.Cleanup(func() {
		w.srv.Close()
		<-served
	})
	return w
}

func (w *world) dial(user string, change func(*engine.ClientConfig)) *phone {
	w.t.Helper()
	p := &phone{invited: make(chan string, 1), begun: make(chan bool, 1)}
	pin := w.srv.Pins()[0]
	w.users++
	port := w.users
	cfg := engine.ClientConfig{
		Addr: "10.0.0.1:4433", UserID: user, UserSig: "-", Listener: p,
		Dialer: &transport.QUICDialer{Pin: pin[:], Conn: func() (net.PacketConn, error) {
			port += 100
			return w.net.Endpoint("10.0.1.2:" + string(rune('1'+port%9)) + "0" + string(rune('0'+port/100%10)) + string(rune('0'+port%10)))
		}},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	p.client, err = engine.Dial(w.t.Context(), cfg)
	must(w.t, err)
	w.t.Cleanup(func() {
		p.client.Destroy()
		<-p.client.Done()
	})
	return p
}

// call lets the first call the others, who answer.
func (w *world) call(media hooks.MediaType, from *phone, to ...*phone) {
	w.t.Helper()
	var ids []string
	for _, p := range to {
		ids = append(ids, p.client.UserID())
	}
	must(w.t, from.client.GroupCall(w.t.Context(), ids, media, ""))
	for _, p := range to {
		w.callID = <-p.invited
		must(w.t, p.client.Accept(w.t.Context()))
		<-p.begun
	}
}

func everybody(hooks.RecordRequest) error { return nil }

// events collects what is told.
type events struct {
	mu  sync.Mutex
	all []record.Event
}

func (e *events) add(v record.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, v)
}

// take returns a copy of all so far.
func (e *events) take() []record.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}

func (e *events) list() (s string) {
	for _, v := range e.take() {
		s += string(v.Kind) + " " + v.UserID + "\n"
	}
	return s
}
