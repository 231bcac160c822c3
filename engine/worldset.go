package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// The settings of players, in bulk. Each takes effect with the world's next
// tick. Errors of all: an *Error if a user is not in the world or a setting is
// out of range, ErrClosed; nothing is changed then.

// set carries out a change for users. wrong is what is wrong with it.
func (w *World) set(userIDs []string, wrong error, change func(a *audience.Audience, id audience.ID)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.each(userIDs, wrong, change)
}

// each is set with mu held.
func (w *World) each(userIDs []string, wrong error, change func(a *audience.Audience, id audience.ID)) error {
	if wrong != nil {
		return wrong
	}
	list, err := w.find(userIDs)
	if err != nil {
		return err
	}
	w.change(func(a *audience.Audience) {
		for _, m := range list {
			change(a, m.id)
		}
	}, nil)
	return nil
}

// SetRange is from how far users hear, in metres; 0 is nobody by nearness.
func (w *World) SetRange(metres float32, userIDs ...string) error {
	return w.set(userIDs, checkMetres(metres), func(a *audience.Audience, id audience.ID) { a.SetRange(id, metres) })
}

// SetReach is from how far users are heard, in metres: whispering and shouting.
func (w *World) SetReach(metres float32, userIDs ...string) error {
	return w.set(userIDs, checkMetres(metres), func(a *audience.Audience, id audience.ID) { a.SetReach(id, metres) })
}

// SetTeam puts users into a team; "" is none.
func (w *World) SetTeam(team string, userIDs ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrong := w.room(&w.teams, team)
	number := w.teams.number(team)
	return w.each(userIDs, wrong, func(a *audience.Audience, id audience.ID) { a.SetTeam(id, number) })
}

// SetMode says whom users talk with besides their teams.
func (w *World) SetMode(mode audience.Mode, userIDs ...string) error {
	return w.set(userIDs, checkMode(mode), func(a *audience.Audience, id audience.ID) { a.SetMode(id, mode) })
}

// SetGroups puts users into groups, at most 4, and out of all others.
func (w *World) SetGroups(groups []string, userIDs ...string) error {
	if err := checkGroups(groups); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wrong := w.room(&w.groups, groups...)
	numbers := w.groups.numbers(groups)
	return w.each(userIDs, wrong, func(a *audience.Audience, id audience.ID) { a.SetGroups(id, numbers) })
}

// SetGroupType says what a group is to those who are not in it, also if nobody
// is. Default audience.Normal.
func (w *World) SetGroupType(group string, t audience.GroupType) error {
	if group == "" || t > audience.Isolated {
		return refuse(hooks.CodeBadParam, "group %q cannot be of type %d", group, t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	if err := w.room(&w.groups, group); err != nil {
		return err
	}
	number := w.groups.number(group)
	w.change(func(a *audience.Audience) { a.SetGroupType(number, t) }, nil)
	return nil
}

// SetPriority makes users heard rather than others, and others quieter while
// they talk: 0 to 10.
func (w *World) SetPriority(priority int, userIDs ...string) error {
	return w.set(userIDs, checkPriority(priority), func(a *audience.Audience, id audience.ID) { a.SetPriority(id, priority) })
}

// SetBroadcast makes everybody hear users.
func (w *World) SetBroadcast(on bool, userIDs ...string) error {
	return w.set(userIDs, nil, func(a *audience.Audience, id audience.ID) { a.SetBroadcast(id, on) })
}

// SetSpectator makes users hear others and not be heard.
func (w *World) SetSpectator(on bool, userIDs ...string) error {
	return w.set(userIDs, nil, func(a *audience.Audience, id audience.ID) { a.SetSpectator(id, on) })
}

// SetCategory says what kind of sound users are.
func (w *World) SetCategory(c audience.Category, userIDs ...string) error {
	return w.set(userIDs, checkCategory(c), func(a *audience.Audience, id audience.ID) { a.SetCategory(id, c) })
}

// Targets are whom a push-to-talk key goes to, several at once.
type Targets struct {
	Users, Teams, Groups []string
	// Only: nobody else hears it. Default: who would hear it anyway hears it
	// too.
	Only bool
}

// SetTargets says to whom users talk in particular; the zero Targets are none.
// Target users who are not in the world are an error; one who leaves is no
// target any longer.
func (w *World) SetTargets(t Targets, userIDs ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	aims, err := w.find(t.Users)
	if err != nil {
		return err
	}
	if _, err := w.find(userIDs); err != nil {
		return err
	}
	if err := errors.Join(w.room(&w.teams, t.Teams...), w.room(&w.groups, t.Groups...)); err != nil {
		return err
	}
	out := audience.Targets{Only: t.Only}
	for _, m := range aims {
		out.Players = append(out.Players, m.id)
	}
	for _, team := range t.Teams {
		out.Teams = append(out.Teams, w.teams.number(team))
	}
	for _, g := range t.Groups {
		out.Groups = append(out.Groups, w.groups.number(g))
	}
	return w.each(userIDs, nil, func(a *audience.Audience, id audience.ID) { a.SetTargets(id, out) })
}

// A standing is what a world keeps of a user, here or not: it survives lost
// connections, sign-outs and Leave.
type standing struct {
	mutes      audience.Mute
	banned     time.Time
	wishes     map[string]wish // of others
	categories map[audience.Category]float32
}

// A wish is how a user wants to hear another; noWish is as they are.
type wish struct {
	blocked bool
	volume  float32
}

var noWish = wish{volume: 1}

// wish is that of one user about another.
func (u *standing) wish(talker string) wish {
	if v, has := u.wishes[talker]; has {
		return v
	}
	return noWish
}

func (w *World) standing(userID string) *standing {
	u := w.users[userID]
	if u == nil {
		u = &standing{}
		w.users[userID] = u
	}
	return u
}

// maxStandings is how many users and pairs a world keeps something of.
const maxStandings = 100_000

// keep makes sure that there is room for n more, and that these are user IDs.
func (w *World) keep(n int, userIDs ...string) error {
	if w.closed {
		return ErrClosed
	}
	if len(w.users)+w.pairs+n > maxStandings {
		return refuse(hooks.CodeRefused, "the world keeps mutes and volumes of %d users and pairs already", maxStandings)
	}
	for _, u := range userIDs {
		if err := signal.CheckUserID(u); err != nil {
			return &Error{Code: hooks.CodeBadParam, Message: err.Error()}
		}
	}
	return nil
}

// recall gives members who come in what is kept of them, and of others about
// them. mu is held.
func (w *World) recall(list []*member) {
	var rules []func(a *audience.Audience)
	about := make(map[string]bool, len(list))
	for _, m := range list {
		about[m.userID] = true
		u := w.users[m.userID]
		if u == nil {
			continue
		}
		mutes, categories := u.mutes, maps.Clone(u.categories)
		rules = append(rules, func(a *audience.Audience) {
			a.SetMute(m.id, mutes, true)
			for c, gain := range categories {
				a.SetCategoryVolume(m.id, c, gain)
			}
		})
	}
	for _, r := range w.members {
		if w.pairs == 0 {
			break
		}
		u := w.users[r.userID]
		if u == nil {
			continue
		}
		recall := func(talker string, v wish) {
			if t := w.members[talker]; t != nil {
				rules = append(rules, func(a *audience.Audience) { v.set(a, r, t) })
			}
		}
		if len(list) < len(u.wishes) && !about[r.userID] {
			for _, m := range list {
				if v := u.wish(m.userID); v != noWish {
					recall(m.userID, v)
				}
			}
			continue
		}
		for talker, v := range u.wishes {
			if about[r.userID] || about[talker] {
				recall(talker, v)
			}
		}
	}
	if len(rules) == 0 {
		return
	}
	w.change(func(a *audience.Audience) {
		for _, f := range rules {
			f(a)
		}
	}, nil)
}

func (v wish) set(a *audience.Audience, receiver, talker *member) {
	a.Block(receiver.id, talker.id, v.blocked)
	a.SetVolume(receiver.id, talker.id, v.volume)
}

// SetMute sets or lifts mutes of users: by a moderator and by themselves, of
// talking and of hearing. One says nothing of the other. They are kept for
// users who leave, and may be set for those who have not come yet.
func (w *World) SetMute(mute audience.Mute, on bool, userIDs ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keep(len(userIDs), userIDs...); err != nil {
		return err
	}
	var here []*member
	for _, user := range userIDs {
		u := w.standing(user)
		u.mutes &^= mute
		if on {
			u.mutes |= mute
		}
		if m := w.members[user]; m != nil {
			here = append(here, m)
		}
	}
	w.change(func(a *audience.Audience) {
		for _, m := range here {
			a.SetMute(m.id, mute, on)
		}
	}, nil)
	return nil
}

// Block makes a user not hear others, or hear them again. It is the user's own
// wish, which clients tell with MuteRemoteAudio, too, and is kept like mutes.
func (w *World) Block(receiver string, on bool, talkers ...string) error {
	return w.setWishes(receiver, talkers, func(v *wish) { v.blocked = on })
}

// SetVolume is how loud a user hears others: 0 is not at all (nothing is sent),
// 1 as they are, 4 the most. It is kept like mutes.
func (w *World) SetVolume(receiver string, gain float32, talkers ...string) error {
	if err := checkGain(gain); err != nil {
		return err
	}
	return w.setWishes(receiver, talkers, func(v *wish) { v.volume = gain })
}

// setWishes changes what one user wishes of others.
func (w *World) setWishes(receiver string, talkers []string, change func(v *wish)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.keep(len(talkers)+1, receiver)
	if err == nil {
		err = w.keep(0, talkers...)
	}
	if err != nil {
		return err
	}
	u := w.standing(receiver)
	if u.wishes == nil {
		u.wishes = make(map[string]wish)
	}
	w.pairs -= len(u.wishes)
	r := w.members[receiver]
	var here []*member
	var wishes []wish
	for _, talker := range talkers {
		v := u.wish(talker)
		if change(&v); v == noWish {
			delete(u.wishes, talker)
		} else {
			u.wishes[talker] = v
		}
		if t := w.members[talker]; r != nil && t != nil {
			here, wishes = append(here, t), append(wishes, v)
		}
	}
	w.pairs += len(u.wishes)
	w.change(func(a *audience.Audience) {
		for i, t := range here {
			wishes[i].set(a, r, t)
		}
	}, nil)
	return nil
}

// SetCategoryVolume is how loud users hear all talkers of a category: see
// SetVolume. It is kept like mutes.
func (w *World) SetCategoryVolume(c audience.Category, gain float32, receivers ...string) error {
	if err := errors.Join(checkCategory(c), checkGain(gain)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keep(len(receivers), receivers...); err != nil {
		return err
	}
	var here []*member
	for _, r := range receivers {
		u := w.standing(r)
		if u.categories == nil {
			u.categories = make(map[audience.Category]float32)
		}
		u.categories[c] = gain
		if m := w.members[r]; m != nil {
			here = append(here, m)
		}
	}
	w.change(func(a *audience.Audience) {
		for _, m := range here {
			a.SetCategoryVolume(m.id, c, gain)
		}
	}, nil)
	return nil
}

// Ban takes users out, and keeps them from being put in until a time; one that
// is past lifts it. Their connections stay: Server.Kick ends them.
func (w *World) Ban(until time.Time, userIDs ...string) error {
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keep(len(userIDs), userIDs...); err != nil {
		return err
	}
	out := until.After(time.Now())
	var list []*member
	for _, user := range userIDs {
		w.standing(user).banned = until
		if m := w.members[user]; m != nil && out {
			list = append(list, m)
		}
	}
	w.drop(list)
	return nil
}

// names gives teams and groups their numbers, which go to others when nobody is
// in one any longer.
type names struct {
	what string
	of   map[string]uint16
	free []uint16
	full int // how many names there may be before it is looked whether all are in use
	used func(a *audience.Audience) map[uint16]bool
}

// maxNames is how many teams, and how many groups, a world has at a time.
const maxNames = 65_000

// room makes sure that there is a number for each name. It is called once for
// all that a change names, as numbers that nobody has may go. mu is held.
func (w *World) room(n *names, list ...string) error {
	fresh := make(map[string]bool)
	for _, name := range list {
		if _, has := n.of[name]; name != "" && !has {
			fresh[name] = true
		}
	}
	if len(n.of)+len(fresh) > n.full {
		used := n.used(w.book)
		for name, number := range n.of {
			if !used[number] && !slices.Contains(list, name) {
				delete(n.of, name)
				n.free = append(n.free, number)
			}
		}
		n.full = min(max(64, 2*(len(n.of)+len(fresh))), maxNames)
	}
	if len(n.of)+len(fresh) > maxNames {
		return refuse(hooks.CodeRefused, "more than %d %s", maxNames, n.what)
	}
	for name := range fresh {
		number := uint16(len(n.of) + 1) // as none is free, all up to here are in use
		if last := len(n.free) - 1; last >= 0 {
			number, n.free = n.free[last], n.free[:last]
		}
		n.of[name] = number
	}
	return nil
}

// number is that of a name that there is room for; 0 of "".
func (n *names) number(name string) uint16 { return n.of[name] }

func (n *names) numbers(list []string) (out [audience.MaxGroups]uint16) {
	for i, name := range list {
		out[i] = n.of[name]
	}
	return out
}

func checkGroups(groups []string) error {
	if len(groups) > audience.MaxGroups {
		return refuse(hooks.CodeBadParam, "%d groups, at most %d", len(groups), audience.MaxGroups)
	}
	return nil
}

func checkPriority(p int) error {
	if p < 0 || p > 10 {
		return refuse(hooks.CodeBadParam, "priority %d is not within 0 to 10", p)
	}
	return nil
}

func checkCategory(c audience.Category) error {
	if c >= audience.NumCategories {
		return refuse(hooks.CodeBadParam, "there is no category %d", c)
	}
	return nil
}

func checkMode(m audience.Mode) error {
	if m > audience.TeamOnly {
		return refuse(hooks.CodeBadParam, "there is no mode %d", m)
	}
	return nil
}

func checkGain(gain float32) error {
	if !(gain >= 0 && gain <= signal.MaxGain) {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("gain %v is not within 0 to %d", gain, signal.MaxGain)}
	}
	return nil
}
