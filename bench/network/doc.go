// Package network measures calls over bad networks: what is heard and seen, and
// how late, with delay, loss and slow lines between a user and the server.
//
//	res, err := network.Run(ctx, network.Config{
//		Path:  network.Path{RTT: 100 * time.Millisecond, Loss: 0.02, Rate: 2e6},
//		Video: 1e6,
//	})
//
// Alice talks and films, bob hears and watches; both are engine clients that
// speak QUIC to an engine server. Inside a testing/synctest bubble the network
// is simulated and time is virtual: twenty seconds of a call take about one.
// With Config.Relay it is real sockets on loopback with a simnet.Relay between,
// and real time.
//
// BenchmarkNetwork makes the table in ../RESULTS.md:
//
//	go test -run '^$' -bench Network -benchtime 1x ./bench/network
package network
