// Package engine is the calling engine: a [Server] that a program embeds, and
// the [Client] that signs in to it over QUIC or inside the same process.
//
// The server knows users, calls, rooms and tracks. Media is RTP in QUIC
// datagrams; in a room in forward mode each packet goes to every other
// participant without touching the codec. Signalling is a stream on the same
// connection (engine/signal/PROTOCOL.md).
//
//	srv, err := engine.NewServer(engine.ServerConfig{SDKAppID: 1, Key: key})
//	go srv.Serve()
//
//	sig := usersig.Sign(key, usersig.Claims{SDKAppID: 1, UserID: "alice", ...})
//	alice, err := engine.Dial(ctx, engine.ClientConfig{
//		Addr: "localhost:4433", Pin: pin, SDKAppID: 1, UserID: "alice", UserSig: sig,
//		Codec: libopus.Driver{}, Microphone: mic, Listener: listener,
//	})
//	err = alice.Call(ctx, "bob", hooks.MediaAudio)
//	for range tick10ms {
//		alice.ReadPCM(block) // what alice hears
//	}
//
// Nothing runs before Serve and Dial. The engine imports no codec driver: pass
// one in ClientConfig. A server that forwards needs none.
package engine
