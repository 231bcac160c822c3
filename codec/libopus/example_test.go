//go:build cgo

package libopus_test

import (
	"fmt"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
)

// Send a frame, lose the next, and recover it from the one after.
func Example() {
	driver := libopus.Driver{}
	enc, err := driver.NewEncoder(codec.EncoderConfig{FEC: true, PacketLoss: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	dec, err := driver.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := make([]int16, 960) // 20 ms
	var packets [3][]byte
	for i := range packets {
		packet := make([]byte, codec.MaxPacketSize)
		n, err := enc.Encode(frame, packet)
		if err != nil {
			fmt.Println(err)
			return
		}
		packets[i] = packet[:n]
	}
	heard := 0
	n, err := dec.Decode(packets[0], frame)
	heard += n
	if err == nil {
		err = dec.DecodeFEC(packets[2], frame) // packets[1] is lost
		heard += len(frame)
	}
	if err == nil {
		n, err = dec.Decode(packets[2], frame)
		heard += n
	}
	fmt.Println(heard, err)
	// Output: 2880 <nil>
}
