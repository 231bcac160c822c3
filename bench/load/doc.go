// Package load measures what a server costs under a whole load: rooms full of
// people, over QUIC on loopback, encryption on. Three processes share the
// machine: the server, measured alone; the people, who speak the protocol and
// count what they are sent; and a calibration, which uses one and a half
// percent of a core to say how fast the machine is at that moment. Costs are
// ratios to it, since machines differ and shared ones change their speed:
//
//   - an encode-time is one libopus encode of 20 ms of speech (48 kHz mono,
//     complexity 4, 32 kbit/s);
//   - an xUDP is one sendto and one recvfrom of 100 bytes on loopback.
//
// Run starts the other two by running this same program again: a program that
// calls Run calls Child first thing in main.
package load
