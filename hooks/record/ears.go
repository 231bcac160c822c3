package record

import (
	"fmt"

	"github.com/earshotrtc/earshot/codec"
)

// maxUserID is how long a user ID may be.
const maxUserID = 32

// ears checks what is to be heard, and makes the encoders. What is no user ID the
// source's tap refuses.
func (c Config) ears() (map[string]Encoder, error) {
	if len(c.Heard) > 0 && c.HeardEncoder == nil {
		return nil, fmt.Errorf("%w: HeardEncoder must be set: what somebody hears is mixed and encoded", ErrConfig)
	}
	ears := make(map[string]Encoder)
	for _, user := range c.Heard {
		if user == "" || len(user) > maxUserID {
			return nil, fmt.Errorf("%w: Heard has %.40q, which is no user ID of 1 to %d bytes", ErrConfig, user, maxUserID)
		}
		if ears[user] != nil {
			return nil, fmt.Errorf("%w: Heard has %q twice", ErrConfig, user)
		}
		enc, err := c.HeardEncoder()
		if err != nil {
			return nil, fmt.Errorf("%w: HeardEncoder: %w", ErrConfig, err)
		}
		if err := try(enc); err != nil {
			return nil, fmt.Errorf("%w: HeardEncoder: %w", ErrConfig, err)
		}
		ears[user] = enc
	}
	return ears, nil
}

// try finds out whether it encodes 20 ms of stereo.
func try(enc Encoder) error {
	if enc == nil {
		return fmt.Errorf("none was made")
	}
	var packet [codec.MaxPacketSize]byte
	n, err := enc.Encode(make([]int16, 2*frame), packet[:])
	if err != nil || n == 0 {
		return err
	}
	if samples, err := codec.PacketSamples(packet[:n]); err != nil || samples != frame {
		return fmt.Errorf("its packets are not of 20 ms of stereo")
	}
	return nil
}
