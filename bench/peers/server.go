package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/earshotrtc/earshot/bench/load"
)

// role is the environment variable that makes a program Run's server.
const role = "EARSHOT_PEERS_ROLE"

// Child does the work of one of Run's other processes, and does not return, if
// this process is one. Programs that call Run call it first.
func Child() {
	load.Child()
	if os.Getenv(role) == "" {
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A query is what the server is asked: to let somebody in by an offer, or, with
// none, for what it has used.
type query struct {
	User, Talkers int
	Offer         *webrtc.SessionDescription
}

// A reply answers it.
type reply struct {
	Answer *webrtc.SessionDescription
	Err    string
	CPU    time.Duration
	Peak   int64
}

// serve is the server's process.
func serve() error {
	api, err := newAPI()
	if err != nil {
		return err
	}
	f := &forwarder{api: api}
	defer f.close()
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil // who asked is done
		}
		var q query
		if err := json.Unmarshal(line, &q); err != nil {
			return err
		}
		var r reply
		if q.Offer != nil {
			if r.Answer, err = f.admit(q); err != nil {
				r.Err = err.Error()
			}
		}
		r.CPU, r.Peak = load.Usage()
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// A forwarder sends each talker's packets to everybody else. There is a track
// for each talker, which pion writes to all that it was added to: one sender
// per talker and receiver.
type forwarder struct {
	api     *webrtc.API
	tracks  []*webrtc.TrackLocalStaticRTP
	conns   []*webrtc.PeerConnection
	reading sync.WaitGroup
}

// admit lets a user in; the first of them talk.
func (f *forwarder) admit(q query) (*webrtc.SessionDescription, error) {
	for i := len(f.tracks); i < q.Talkers; i++ {
		t, err := webrtc.NewTrackLocalStaticRTP(opus, "audio", fmt.Sprintf("user%d", i))
		if err != nil {
			return nil, err
		}
		f.tracks = append(f.tracks, t)
	}
	pc, err := f.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	f.conns = append(f.conns, pc)
	if q.User < q.Talkers {
		to := f.tracks[q.User]
		pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
			f.reading.Go(func() { drain(r.Read) })
			f.reading.Add(1)
			defer f.reading.Done()
			forward(t, to)
		})
	}
	if err := pc.SetRemoteDescription(*q.Offer); err != nil {
		return nil, err
	}
	for i, t := range f.tracks {
		if i == q.User {
			continue
		}
		sender, err := pc.AddTrack(t)
		if err != nil {
			return nil, err
		}
		f.reading.Go(func() { drain(sender.Read) })
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return nil, err
	}
	return localDescription(pc, answer)
}

// forward sends what comes from a talker on. Header extensions, whose numbers
// are the connection's own, stay behind.
func forward(from *webrtc.TrackRemote, to *webrtc.TrackLocalStaticRTP) {
	buf := make([]byte, 1500)
	var p rtp.Packet
	for {
		n, _, err := from.Read(buf)
		if err != nil {
			return
		}
		if err := p.Unmarshal(buf[:n]); err != nil {
			continue
		}
		p.Extension, p.Extensions = false, nil
		to.WriteRTP(&p)
	}
}

func (f *forwarder) close() {
	for _, pc := range f.conns {
		pc.Close()
	}
	f.reading.Wait()
}
