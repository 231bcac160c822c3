package roq_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/earshotrtc/earshot/transport/roq"
)

// One RTP packet in one QUIC datagram, out and in.
func Example_datagram() {
	rtp := []byte{0x80, 111, 0x12, 0x34, 0, 0, 3, 0xc0, 0xca, 0xfe, 0xba, 0xbe, 0xf8, 0xff, 0xfe}

	datagram := append(roq.AppendFlowID(nil, 5), rtp...)
	fmt.Printf("%x\n", datagram)

	flow, n, err := roq.ParseFlowID(datagram)
	if err != nil {
		fmt.Println(err) // close the connection with roq.PacketError
		return
	}
	packet := datagram[n:]
	if err := roq.CheckPacket(packet); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("flow", flow, "RTCP", roq.IsRTCP(packet), "bytes", len(packet))
	// Output:
	// 05806f1234000003c0cafebabef8fffe
	// flow 5 RTCP false bytes 15
}

// A stream carries packets that do not fit a datagram.
func ExampleStreamReader() {
	stream := roq.AppendFlowID(nil, 9)
	stream = roq.AppendStreamPacket(stream, make([]byte, 3000))
	stream = roq.AppendStreamPacket(stream, make([]byte, 200))

	r := roq.NewStreamReader(bytes.NewReader(stream), 65535)
	flow, err := r.ReadFlowID()
	if err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 0, 65535) // used again for every packet
	for {
		packet, err := r.ReadPacket(buf)
		if err == io.EOF {
			break
		}
		if wrong := (*roq.FormatError)(nil); errors.As(err, &wrong) {
			fmt.Println("close the connection with", wrong.Code)
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("flow", flow, "bytes", len(packet))
	}
	// Output:
	// flow 9 bytes 3000
	// flow 9 bytes 200
}
