// Package audience decides who hears whom in a game's world: for each player
// the talkers that they are to be sent now, how loud and from which side, and
// why. It has no clock, no goroutine, no network and no locks: what it is told
// and asked comes from one goroutine at a time.
//
//	a := audience.New(audience.Config{Range: 30})
//	bard, hero := a.Add(), a.Add()
//	a.Place(bard, audience.Vector{4, 0, 0}, audience.Vector{})
//	a.SetListening(hero, true)
//	a.SetTalking(bard, true)
//	a.Tick()
//	for _, v := range a.Heard(hero) {
//		... // v.Talker is bard, v.Gain in dB, v.Pan from -8 to 8, v.Reason is Near
//	}
//
// R hears T if neither a mute nor a deafening stands between them, and the
// first of these holds, which is the reason: T broadcasts; they are in a group
// together; they are of one team; T targets R; they are near each other, which
// is no further apart than R's range and T's reach, both in the world mode, and
// let by their groups ([GroupType]). Of more talkers than Config.Voices each
// receiver gets those with the best scores ([Config.Score]).
//
// A tick costs the players once, the talkers once, and each pair of a talker
// and a receiver nearby once: nothing goes by players times talkers but a
// broadcast. It allocates nothing once it has grown to the world's size.
package audience
