package record

import "github.com/earshotrtc/earshot/codec"

// fillGrain is the shortest Opus frame, 2.5 ms in samples.
const fillGrain = 120

// silence calls write with packets of silence, n samples of it rounded down to
// 2.5 ms: CELT frames that say so (RFC 6716 section 4.3: the flag of silence),
// six of 20 ms in a packet while they last.
func silence(n int64, stereo bool, write func(packet []byte) error) error {
	channels := byte(0)
	if stereo {
		channels = 4
	}
	long := [14]byte{0xFB | channels, 6, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFE}
	for ; n >= 6*960; n -= 6 * 960 {
		if err := write(long[:]); err != nil {
			return err
		}
	}
	for config, length := byte(31), int64(960); config >= 28; config, length = config-1, length/2 {
		for ; n >= length; n -= length {
			if err := write([]byte{config<<3 | channels, 0xFF, 0xFE}); err != nil {
				return err
			}
		}
	}
	return nil
}

// concealed calls write with packets that have no frame in them, so that a
// decoder makes the sound up as for lost ones (RFC 6716 section 3.2.1), in the
// mode of the packet before, and returns how many samples of n they are: SILK has
// none shorter than 10 ms.
func concealed(n int64, toc byte, write func(packet []byte) error) (done int64, err error) {
	t := codec.ParseTOC(toc)
	config := toc >> 3
	configs := []byte{config &^ 3, config&^3 | 1} // 10 and 20 ms of SILK
	switch t.Mode {
	case codec.ModeHybrid:
		configs = []byte{config &^ 1, config | 1}
	case codec.ModeCELT:
		configs = []byte{config &^ 3, config&^3 | 1, config&^3 | 2, config&^3 | 3}
	}
	for i := len(configs) - 1; i >= 0; i-- {
		b := configs[i]<<3 | toc&4
		for length := int64(codec.ParseTOC(b).FrameSamples); n-done >= length; done += length {
			if err := write([]byte{b}); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}
