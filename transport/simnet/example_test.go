package simnet_test

import (
	"fmt"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// A network that loses 5 % of the packets of one direction, four in a row.
func Example() {
	n := simnet.New(simnet.Config{Seed: 1})
	defer n.Close()
	server, _ := n.Endpoint("10.0.0.1:4433") // a net.PacketConn each
	player, _ := n.Endpoint("10.0.0.2:5000")
	n.SetLink(player, server, simnet.Link{Burst: simnet.Bursts(0.05, 4)})

	for range 1000 {
		player.WriteTo([]byte("position"), server.LocalAddr())
	}
	buf := make([]byte, 1500)
	size, from, _ := server.ReadFrom(buf)
	fmt.Printf("%s from %v\n", buf[:size], from)

	s := n.Stats(player, server)
	fmt.Println("sent", s.Sent, "arrived", s.Delivered, "lost", s.DroppedTotal())
	// Output:
	// position from 10.0.0.2:5000
	// sent 1000 arrived 977 lost 23
}

// The network goes away and comes back, as in a lift.
func ExampleNetwork_Cut() {
	n := simnet.New(simnet.Config{})
	defer n.Close()
	server, _ := n.Endpoint("")
	player, _ := n.Endpoint("")
	send := func() {
		for range 10 {
			player.WriteTo([]byte("position"), server.LocalAddr())
		}
	}
	send()
	n.Cut(server, player)
	send()
	n.Restore(server, player)
	send()
	s := n.Stats(player, server)
	fmt.Println(s.Delivered, "came,", s.Dropped[simnet.DropDown], "did not")
	// Output: 20 came, 10 did not
}

// A NAT forgets a player, whose packets then come from another port.
func ExampleConn_Rebind() {
	n := simnet.New(simnet.Config{})
	defer n.Close()
	server, _ := n.Endpoint("10.0.0.1:4433")
	player, _ := n.Endpoint("10.0.0.2:5000")
	player.Rebind("10.0.0.2:5001")
	player.WriteTo([]byte("position"), server.LocalAddr())
	_, from, _ := server.ReadFrom(make([]byte, 1500))
	fmt.Println("the server sees", from, "and the player", player.LocalAddr())
	// Output: the server sees 10.0.0.2:5001 and the player 10.0.0.2:5000
}
