package jitter

// OpusHasFEC tells whether an Opus packet carries in-band forward error
// correction (LBRR) for the frame before it. The flag is the first bit after
// the voice-activity flags of the SILK layer, and both come first in the
// frame, uncompressed (RFC 6716 sections 4.2.3 and 4.2.4). Packets of several
// Opus frames, which encoders of calls do not make, answer false.
func OpusHasFEC(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	toc := payload[0]
	config := toc >> 3
	if config >= 16 || toc&3 != 0 { // CELT only has none; code 0 is one frame
		return false
	}
	frames := uint(1) // SILK frames in the Opus frame: 20 ms each
	if config < 12 {
		frames = [4]uint{1, 1, 2, 3}[config&3]
	}
	flags := payload[1]
	if flags>>(7-frames)&1 != 0 {
		return true
	}
	stereo := toc&4 != 0
	return stereo && flags>>(6-2*frames)&1 != 0
}

// opusComfort tells whether a packet is what an Opus encoder emits while it
// transmits nothing: a frame with no content (RFC 6716 section 3.2.1).
func opusComfort(payload []byte) bool { return len(payload) <= 2 }
