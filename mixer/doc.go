// Package mixer works on PCM: how loud it is, how loud that makes a talker on
// the scale of the callbacks, whether it is speech and whose speech has the
// floor; adding several voices without clipping, evening them out, gating them,
// placing them around a listener; and changing sampling rates.
//
//	db := mixer.Level(pcm)     // dBov of 20 ms
//	v := mixer.Volume(db)      // 0 to 100
//
// PCM is signed 16-bit, interleaved when stereo. Nothing here has a goroutine,
// a clock or a network, and nothing allocates once made. mixer/jitter is the
// jitter buffer, and mixer/bridge mixes a whole room.
package mixer
