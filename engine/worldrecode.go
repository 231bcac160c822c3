package engine

import (
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// A recoder changes the sound of a voice whose packets are forwarded: each is
// decoded, shown to hooks, and encoded again in its place. It belongs to one
// goroutine at a time.
type recoder struct {
	srv     *Server
	user    string
	process func(pcm []int16)
	dec     codec.Decoder
	encs    [len(recodeFrames)]codec.Encoder
	broken  bool // it was said that something cannot be recoded
	begun   bool
	last    uint16 // sequence number
	pcm     [codec.MaxFrameSamples]int16
}

// recodeFrames are the lengths of packets that can be recoded.
var recodeFrames = [...]time.Duration{frameTime / 2, frameTime, 2 * frameTime, 3 * frameTime}

// maxLate is how many packets one may be late; further back is a new beginning.
const maxLate = 512

// newRecoder is nil if there is nothing to do.
func newRecoder(s *Server, user string, process func(pcm []int16)) *recoder {
	if process == nil {
		return nil
	}
	return &recoder{srv: s, user: user, process: process}
}

// recode puts a packet's sound into out, changed, which may be where the packet is,
// and returns its length: 0 if it is nothing that can be changed, or comes after a
// later one. What is heard unchanged might be what nobody should hear.
func (r *recoder) recode(seq uint16, payload, out []byte) int {
	if d := int16(seq - r.last); r.begun && d <= 0 && d > -maxLate {
		return 0
	}
	r.begun, r.last = true, seq
	if len(payload) <= 2 { // comfort noise
		return copy(out, payload)
	}
	if r.dec == nil {
		dec, err := r.srv.cfg.Codec.NewDecoder(codec.DecoderConfig{})
		if err != nil {
			r.fail("a decoder", err)
			return 0
		}
		r.dec = dec
	}
	n, err := r.dec.Decode(payload, r.pcm[:])
	if err != nil {
		return 0 // hostile, or damaged
	}
	pcm := r.pcm[:n]
	enc := r.encoder(time.Duration(n) * time.Second / codec.SampleRate)
	if enc == nil {
		return 0
	}
	for at := 0; at < n; at += frameSamples {
		r.process(pcm[at:min(at+frameSamples, n)])
	}
	k, err := enc.Encode(pcm, out)
	if err != nil {
		r.fail("encoding", err)
		return 0
	}
	return k
}

// encoder is that of packets of a length, or nil.
func (r *recoder) encoder(length time.Duration) codec.Encoder {
	for i, d := range recodeFrames {
		if d != length {
			continue
		}
		if r.encs[i] == nil {
			mix := &r.srv.cfg.Mix
			cfg := codec.EncoderConfig{FrameDuration: d, Bitrate: mix.Bitrate, Complexity: mix.Complexity}
			setDefault(&cfg.Complexity, 4)
			enc, err := r.srv.cfg.Codec.NewEncoder(cfg)
			if err != nil {
				r.fail("an encoder", err)
				return nil
			}
			r.encs[i] = enc
		}
		return r.encs[i]
	}
	r.fail("packets of "+length.String(), codec.ErrUnsupported)
	return nil
}

// fail says once what is wrong.
func (r *recoder) fail(what string, err error) {
	if !r.broken {
		r.broken = true
		r.srv.log.Warn("a hook cannot have a user's sound, who is not heard meanwhile", "user", r.user, "for want of", what, "err", err)
	}
}

// warn says which of the plugins' hooks are not asked in a world.
func (w *World) warn() {
	s := w.srv
	for _, p := range s.plugins {
		if p.MixProcessor != nil {
			s.log.Warn("a world does not mix: a plugin's MixProcessor is not asked there", "world", w.cfg.ID, "plugin", p.Name)
		}
		if (p.Processor != nil || p.PathProcessor != nil) && !s.mixes {
			s.log.Warn("the server has no codec that encodes: a plugin's hooks on sound are not asked", "world", w.cfg.ID, "plugin", p.Name)
		}
	}
}

// recoded changes the packet at hand as the plugins' Processors want it, and returns
// its length; 0 if it does not go on. It is the packet handler's.
func (t *track) recoded(n int) int {
	if t.recode == nil {
		return n
	}
	k := t.recode.recode(t.header.SequenceNumber, t.buf[t.payload:n], t.buf[t.payload:t.payload+maxPayload-4])
	if k == 0 {
		t.hooked.Add(1)
		return 0
	}
	return t.payload + k
}
