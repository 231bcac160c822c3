package record

import (
	"errors"
	"io"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
)

const (
	// concealMost is how much that is missing is left to concealment; more is
	// silence.
	concealMost = 5 * 960
	// A stream that is beside its place without a pause is put right by stepBy
	// samples, 10 ms, as soon as it is so much ahead or behind: in a quiet packet
	// sooner.
	stepBy      = 480
	behindMost  = 288 // samples
	aheadMost   = 480
	aheadQuiet  = 288
	quietPacket = 20 // bytes
	// Such steps are stepPause samples apart, unless it is farAway.
	stepPause = 9600
	farAway   = 9600
	// preSkip is libopus' lookahead: a packet's sound is so much later than its
	// timestamp.
	preSkip = 312
)

// An oggFile is sound without gaps from the recording's beginning on. It is
// opened with the first packet.
type oggFile struct {
	rec      *Recording
	user     string
	ext      string
	channels int

	out     *ogg.Writer
	below   io.WriteCloser
	name    string
	pos     int64 // samples written
	stepped int64 // where the last step was
	toc     byte  // of the last packet of the stream
	failed  bool
	ended   bool
}

// put writes a packet that belongs at a place. follows says that it follows the
// last one without a pause, lost that what is missing before it was lost.
func (f *oggFile) put(packet []byte, at int64, follows, lost bool) {
	n, err := codec.PacketSamples(packet)
	if err != nil || at+int64(n) <= 0 || !f.open() {
		return
	}
	defer func() { f.toc = packet[0] }()
	gap := at - f.pos
	mayStep := f.pos-f.stepped >= stepPause || gap > farAway || gap < -farAway
	switch {
	case follows && !mayStep:
	case follows && gap > behindMost:
		f.stepped = f.pos
		done, err := concealed(stepBy, f.toc, f.write)
		if done == 0 && err == nil {
			err = silence(stepBy, f.channels == 2, f.write)
		}
		f.check(err)
	case follows && (gap < -aheadMost || gap < -aheadQuiet && len(packet) <= quietPacket):
		// It is left out, and made up for but for 10 ms.
		f.stepped = f.pos
		_, err := concealed(int64(n)-stepBy, packet[0], f.write)
		f.check(err)
		return
	case !follows && gap < -int64(n)/2:
		return // there is no room for it
	case !follows && gap > 0:
		if lost && gap <= concealMost {
			done, err := concealed(gap, f.toc, f.write)
			f.check(err)
			gap -= done
		}
		f.check(silence(gap, f.channels == 2, f.write))
	}
	f.check(f.write(packet))
}

// open makes the file, once. It reports whether there is one to write to.
func (f *oggFile) open() bool {
	if f.out != nil || f.failed || f.ended {
		return !f.failed && !f.ended
	}
	var err error
	f.below, f.name, err = f.rec.open(f.user, f.ext)
	if err == nil {
		f.out, err = ogg.NewWriter(f.below, ogg.Config{Channels: f.channels, PreSkip: preSkip})
	}
	f.check(err)
	return !f.failed
}

func (f *oggFile) write(packet []byte) error {
	if f.failed {
		return nil
	}
	n, err := codec.PacketSamples(packet)
	if err == nil {
		err = f.out.WritePacket(packet)
	}
	if err == nil {
		f.pos += int64(n)
	}
	return err
}

// check ends the file after an error.
func (f *oggFile) check(err error) {
	if err == nil || f.failed {
		return
	}
	f.failed = true
	if f.below != nil {
		err = errors.Join(err, f.below.Close())
	}
	f.rec.failed(f.user, f.name, err)
}

// tick lets what was written arrive.
func (f *oggFile) tick() {
	if f.out != nil && !f.failed && !f.ended {
		f.check(f.out.Flush())
	}
}

// end completes the file, which then ends at a place.
func (f *oggFile) end(at int64) {
	if f.out == nil || f.failed || f.ended {
		f.ended = true
		return
	}
	f.check(silence(at-f.pos+fillGrain-1, f.channels == 2, f.write))
	if !f.failed {
		f.check(f.out.CloseAt(at - preSkip))
	}
	if !f.failed {
		f.check(f.below.Close())
	}
	f.ended = true
}
