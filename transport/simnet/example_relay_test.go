package simnet_test

import (
	"fmt"
	"net"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// A program's own sockets, with 20 ms between them.
func ExampleRelay() {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	r, err := simnet.NewRelay(simnet.RelayConfig{
		Target: server.LocalAddr().String(),
		Up:     simnet.Link{Delay: 20 * time.Millisecond},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()

	player, err := net.Dial("udp", r.Addr().String()) // instead of the server's
	if err != nil {
		fmt.Println(err)
		return
	}
	defer player.Close()
	start := time.Now()
	player.Write([]byte("position"))
	buf := make([]byte, 1500)
	n, _, err := server.ReadFrom(buf)
	fmt.Printf("%s, at once: %v, %v\n", buf[:n], time.Since(start) < 20*time.Millisecond, err)
	// Output: position, at once: false, <nil>
}
