// Package engine is the calling engine: a [Server] that a program embeds, and
// the [Client] that signs in to it over QUIC or inside the same process.
//
// The server knows users, calls, rooms and tracks. Media is RTP in QUIC
// datagrams; in a room in forward mode each packet goes to every other
// participant without touching the codec, and in mix mode each gets one stream
// with everybody else's voices (package mixer/bridge). Signalling is a stream on
// the same connection (engine/signal/PROTOCOL.md). [Server.Online] says who is
// signed in.
//
// A [World] is a game's: the game puts users in, says where they are as often as
// its loop turns, and who hears whom besides (package engine/audience); nobody
// rings, and nobody is sent a packet of somebody out of hearing.
//
// Nothing runs before [Server.Serve] and [Dial]. The engine imports no codec
// driver: pass one in [ClientConfig], and in [ServerConfig] for rooms that mix; a
// server that forwards needs none.
//
// The example of the package is a whole call; README.md beside this file lists
// every function and callback with the test that shows it.
package engine
