package meter

import "strings"

// phrases are written one a line, in lower case, without punctuation; each is found
// as whole words.
func phrases(list string) (out []string) {
	for line := range strings.Lines(list) {
		if p := strings.TrimSpace(line); p != "" {
			out = append(out, " "+p+" ")
		}
	}
	return out
}

func set(list string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		m[w] = true
	}
	return m
}

var laughing = []string{"😄", "😂", "🤣", "😆", "😅", "😁", "😜", "😝", "😹", "🙃", "😛", ":D", ":-D", ":P", ";P", "xD", "XD"}

var humorMarks = phrases(`
ha
haha
hahaha
hehe
lol
lmao
rofl
joke
jokes
joking
kidding
funny
hilarious
pun
pun intended
punchline
knock knock
walks into a bar
walked into a bar
plot twist
spoiler
they say
if it were a
were a sandwich
as subtle as
like a penguin
like a cat
even my
in my defense
my neighbour still
i tried that once
i once tried
allegedly
apparently
rumour has it
rumor has it
legend has it
silly
ridiculous
goofy
wink
ba dum tss
world record
union of
with extra
shelf space
dad joke
comedy
comedian
giggle
giggles
laugh
laughing
`)

var warmMarks = phrases(`
i am sorry
i'm sorry
so sorry
sorry to hear
sounds like
that must
it must be
you must feel
must have been hard
must be hard
i understand
understandable
i hear you
i am here
i'm here
here for you
here to listen
with you
by your side
not alone
you are doing
you're doing
proud of you
so proud
glad
happy for you
care about
i care
matters to you
matters a lot
means a lot
feel
feels
feeling
feelings
heart
hug
hugs
gentle
gently
kind to yourself
be kind
take care
take all the time
take your time
no rush
it is okay
it's okay
it is completely fine
it is fine to
completely fine
that is okay
that's okay
brave
dear
warmly
lovely to hear
thank you for telling
thank you for sharing
told me about
hold on to
cheering for you
rooting for you
believe in you
hope you
`)

var ironyMarks = phrases(`
of course
oh sure
sure because
yeah right
oh great
oh good
oh wonderful
oh joy
oh brilliant
how delightful
how original
how thrilling
just great
just what
just wonderful
what a surprise
what a shock
shocking
surprise surprise
color me
colour me
because that
because nothing says
because what
nothing says
what could
could possibly go wrong
never gone wrong
hardly contain
contain my
my excitement
truly groundbreaking
groundbreaking
riveting
genius
bravo
slow clap
congratulations on
good luck with that
who could have
who would have
obviously
clearly the best
as if
big shock
thrilled
how nice for
wow
so helpful
so brave
fascinating
exactly what
what the world needs
lucky me
lucky you
the height of
a triumph of
`)

var softMarks = phrases(`
perhaps
maybe
might
could
possibly
somewhat
sort of
kind of
a bit
a little
if you like
if you want
if you wish
if that helps
it seems
seems
seem
i wonder
wonder
you may
you may want
may want to
may wish
it may be
may well
i may
i suppose
i would suggest
worth a look
worth considering
worth some thought
in some ways
on the other hand
it depends
to some extent
just a thought
no pressure
feel free
whenever you
`)

var directMarks = phrases(`
the point is
the answer is
bottom line
in short
period
full stop
nothing else
do that first
right now
do it
do it now
must
have to
need to
stop
never
wrong
bad idea
good idea
that is false
simply put
simple
exactly
first
`)

var orders = set(`start stop do go take tell call write cut sleep try use make keep get drop put ask send leave quit read say talk pick
	choose check fix change buy sell run wait eat drink move turn set skip ignore forget focus finish begin learn practice practise delete
	remove add build find give show look listen open close never always just first apologise apologize pay book cancel pack plan save
	spend walk wash water work decide`)

var sureMarks = phrases(`
definitely
certainly
absolutely
surely
clearly
undoubtedly
without a doubt
without doubt
no doubt
of that i am sure
i am sure
i'm sure
i am certain
i'm certain
i know
i insist
trust me
believe me
mark my words
guarantee
guaranteed
always
never
must
will
cannot
the point is
the truth is
the fact is
the best
the only
now
nothing else
no question
do that first
i stand by
`)

var doubtMarks = phrases(`
i think
i guess
i believe
i suppose
i feel like
perhaps
maybe
might
may
possibly
probably
not sure
not certain
unsure
i could be wrong
be wrong
may be wrong
if i am not mistaken
if that is all right
if you don't mind
if you do not mind
to me
in my opinion
as far as i know
it seems
seems
seem
i wonder
hopefully
sorry
i would say
i don't know
i do not know
who knows
hard to say
if you like
just a thought
`)

var formalMarks = phrases(`
therefore
however
moreover
furthermore
consequently
regarding
concerning
shall
would
kindly
please
certainly
indeed
with pleasure
good day
good evening
good morning
sincerely
respectfully
dear sir
dear madam
sir
madam
i would
it is
i am
do not
does not
cannot
will not
is not
are not
you are
we are
one may
one might
upon
whilst
thus
hence
additionally
accordingly
assistance
assist
require
required
obtain
provide
wish to
at your convenience
permit me
allow me
should you
appreciate
grateful
`)

var casualMarks = phrases(`
hey
hi
yo
oh hi
yep
yup
nope
nah
yeah
ok
okay
gonna
wanna
gotta
kinda
sorta
dunno
lemme
gimme
ain't
y'all
u
ur
pls
thx
btw
omg
lol
haha
super
cool
awesome
totally
stuff
guys
dude
buddy
mate
folks
like
no worries
no biggie
sure thing
what's up
sup
wow
whoa
oops
`)

// nature is 1 for the articles and prepositions that things are described with, -1
// for the pronouns and adverbs that point at who speaks and where.
var nature = func() map[string]float64 {
	m := map[string]float64{}
	for w := range set(`the a an of in on at by for from to with within without between among through during under over into upon about as per via
		against toward towards regarding concerning despite which whose`) {
		m[w] = 1
	}
	for w := range set(`i me my mine we us our you your he she him her they them it this that here there now then so just really very not never
		what who why how`) {
		m[w] = -1
	}
	return m
}()
