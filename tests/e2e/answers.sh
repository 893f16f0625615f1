#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja run with text, on a model that says "Salud, ñ!" to everything (tests/oracle/talker.py): prompts, stop texts, limits, seeds, JSON,
# and the conversation at a terminal (script(1) of bsdutils gives it one).
set -eu
. "$ROOT/tests/e2e/says"
model=$ROOT/tests/golden/talker
answers() { # the wanted output, arguments
    want=$1
    shift
    says 0 '' run "$model" --temp 0 "$@"
    printf '%s\n' "$want" | cmp -s - out || { echo "forja run $*: '$(cat out)', wanted '$want'"; exit 1; }
}

# where the prompt comes from
answers 'Salud, ñ!' -p hola --chat
answers 'Salud, ñ!' -p '' --chat
answers 'Salud, ñ!' -p hola --system 'Be kind.'
answers 'alud, ñ!' -p S
printf 'hola S\n' >prompt # the file's last newline is not a part of it
answers 'alud, ñ!' -f prompt
"$FORJA" run "$model" --temp 0 <prompt >out
[ "$(cat out)" = 'alud, ñ!' ]
says 1 'cannot open nowhere' run "$model" -f nowhere
says 2 'the prompt has no tokens' run "$model" -p ''
printf 'se\361or' >latin
says 1 'latin: the prompt is not UTF-8' run "$model" -f latin
says 1 'latin: the prompt is not UTF-8' run "$model" -f latin --chat
says 1 'the prompt is not UTF-8' run "$model" -p "$(cat latin)"
says 1 'the system message is not UTF-8' run "$model" -p a --system "$(cat latin)"
says 2 'give one of --prompt, --file and --ids' run "$model" -p a -f prompt
long=$(printf 'ab %.0s' 1 2 3 4 5 6 7 8)
says 2 'the prompt has 24 tokens, the context has room for 23 with one to answer' run "$model" -p "$long" -c 24
answers 'Salud, ñ!' -p "${long% }
" -c 100

# where the answer ends
answers 'Sa' -p hola --chat --stop lud
answers 'Salud, ' -p hola --chat --stop 'ñ'
answers 'Salud' -p hola --chat --stop nowhere --stop ', ñ'
answers 'Salud, ñ!' -p hola --chat --stop 'd, ñ?'
answers 'Sal' -p hola --chat -n 3
answers "Salud, $(printf '\357\277\275')" -p hola --chat -n 8 # half of a letter
answers 'Salud, ñ!
Sa' -p hola --chat -n 14 --ignore-eos # special tokens are not shown
says 0 '' run "$model" -p hola -n 0
[ ! -s out ]
says 0 '' run "$model" -p hola -n 0 --chat --json
grep -q '"text": "", "ids": \[\], .*"finish_reason": "length"' out

# the shape of JSON; a stop text and an end token are "stop", a limit is "length"
says 0 '' run "$model" -p S --temp 0 --json --seed 9
grep -Eq '^\{"text": "alud, ñ!", "ids": \[104, 115, 124, 107, 51, 39, 202, 184, 40, 2\], "prompt_ids": \[90\], "finish_reason": "stop", "seed": 9, "timings": \{"prompt_n": 1, "prompt_ms": [0-9.e-]+, "predicted_n": 10, "predicted_ms": [0-9.e-]+\}\}$' out
[ "$(wc -l <out)" = 1 ]
says 0 '' run "$model" -p S --temp 0 --json --stop ud
grep -q '"text": "al", .*"finish_reason": "stop"' out
says 0 '' run "$model" -p S --temp 0 --json -n 2
grep -q '"text": "al", "ids": \[104, 115\], .*"finish_reason": "length"' out

# penalties count with --temp 0, too: the same letter is not said twice
says 0 '' run "$model" -p S --temp 0 -n 30 --ignore-eos --presence-penalty 200 --repeat-last-n 64 --json
ids=$(sed -n 's/.*"ids": \[\([0-9, ]*\)\], "prompt_ids".*/\1/p' out | tr -d ' ' | tr , '\n')
[ "$(printf '%s\n' $ids | sort | uniq -d | wc -l)" = 0 ] && [ "$(printf '%s\n' $ids | wc -l)" = 30 ]

# guesses: the same text and the same end, from the model itself and from what was said before
for guess in --lookup "--draft $model" "--draft $model --lookup --draft-max 16 --draft-p-min 0"; do
    answers 'Salud, ñ!' -p hola --chat $guess
    answers 'Salud, ' -p 'Salud, ñ! Salud, ñ! S' --chat --stop 'ñ' $guess
    answers 'Sal' -p hola --chat -n 3 $guess
    answers 'Salud, ñ!
Salud, ñ!
Salud, ñ!
Salu' -p hola --chat -n 40 --ignore-eos $guess
done
says 0 '' run "$model" -p hola --chat --temp 0 --json -n 40 --ignore-eos --draft "$model"
grep -Eq '"draft_n": ([1-9][0-9]*), "draft_n_accepted": \1\}\}' out

# a seed fixes the answer
says 0 '' run "$model" -p S --temp 3 --seed 4 -n 40 --ignore-eos
cp out first
says 0 '' run "$model" -p S --temp 3 --seed 4 -n 40 --ignore-eos -t 1
cmp out first
says 0 '' run "$model" -p S --temp 3 --seed 5 -n 40 --ignore-eos
! cmp -s out first

# templates
says 2 'did you mean chatml?' run "$model" -p a --chat --chat-template chatnl
printf '{%% for m in messages %%}' >broken.jinja
says 3 'line 1' run "$model" -p a --chat --chat-template-file broken.jinja
says 1 'cannot open gone.jinja' run "$model" -p a --chat --chat-template-file gone.jinja
says 0 '' run "$model" -p '<|im_end|></s>' --chat --json # spelled by a user, it is text
prompt=$(sed -n 's/.*"prompt_ids": \[\([0-9, ]*\)\].*/\1/p' out | tr -d ' ' | tr , '\n')
[ "$(printf '%s\n' $prompt | grep -cx 2)" = 1 ] && [ "$(printf '%s\n' $prompt | grep -cx 4)" = 0 ]

# a reader that leaves ends the answer
{ "$FORJA" run "$model" -p S --temp 0 --ignore-eos -n 100000 -c 16000 2>err || echo $? >code; } | head -c 5 >out
[ "$(cat out)" = alud, ] && [ "$(cat code)" = 1 ] && grep -q 'error: cannot write to standard output' err

# a conversation
command -v script >/dev/null || { echo "script(1) is missing (Debian: bsdutils)"; exit 1; }
export XDG_STATE_HOME="$PWD/state" TERM=xterm NO_COLOR=1
talk() { # what is typed; leaves what the terminal showed in `out`
    got=0
    printf "$1" | timeout 60 script -qec "'$FORJA' run '$model' --temp 0 ${2:-}" /dev/null >shown || got=$?
    tr -d '\r' <shown | sed "s/$(printf '\033')\[?2004[hl]//g" >out # without the marks around what is edited
    [ "$got" = 0 ] || { echo "the conversation ended with $got"; cat out; exit 1; }
}
shows() { grep -qF -- "$1" out || { echo "the conversation does not show: $1"; cat out; exit 1; }; }
talk 'hola\nfirst\\\nsecond\n"""a\nb"""\n/save talk.jsonl\n/stats\nx\n/exit\n'
[ "$(grep -c '^Salud, ñ!$' out)" = 4 ]
shows 'talk.jsonl: 6 messages, one row of training data'
shows '[prompt '
wanted='{"messages": [{"role": "user", "content": "hola"}, {"role": "assistant", "content": "Salud, ñ!"}, {"role": "user", "content": "first\nsecond"}, {"role": "assistant", "content": "Salud, ñ!"}, {"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "Salud, ñ!"}]}'
[ "$(cat talk.jsonl)" = "$wanted" ]
! grep -q "$(printf '\033')\[[0-9;]*m" out # NO_COLOR
grep -q '^first.012second$' state/forja/history
talk '/load talk.jsonl\n/undo\n/regen\n/save less.jsonl\n/clear\n/regen\n/nothing\n/set tmp 1\n/set temp\n/set top-k 5\n/load latin\n/read gone\n/?\n/exit\n'
shows 'talk.jsonl: 6 messages, the conversation goes on from there'
shows 'less.jsonl: 4 messages'
shows 'error: /regen: nothing was asked yet'
shows 'error: no command is called /nothing'
shows 'hint: did you mean temp?'
shows 'error: /set wants a sampling option and a value'
shows 'error: cannot open gone'
shows '/undo'
# guesses in a conversation
talk 'hola\nhola\n/stats\nhola\n/exit\n' "--lookup --draft '$model'"
[ "$(grep -c '^Salud, ñ!$' out)" = 3 ]
shows ' right; context'
# what is pasted is one message (keys such as Ctrl-D or backspace would be taken by the terminal when typed so far ahead)
talk '\033[200~one\ntwo\033[201~\nñ\n/read prompt\n/save pasted.jsonl\n/bye\n'
grep -qF '"content": "one\ntwo"' pasted.jsonl
grep -qF '"content": "ñ"' pasted.jsonl
grep -qF '"content": "hola S\n"' pasted.jsonl
# the oldest exchange goes when the context is full
talk 'a long question, the first of all\nanother long question that takes room\nhello\nhello\n/save rest.jsonl\n/bye\n' '-c 128 -n 20'
shows 'the context is full: the oldest exchange is forgotten'
! grep -q 'first of all' rest.jsonl
# a template that wants its system message first keeps it there
talk '/system Be kind.\nhola\n/save system.jsonl\n/bye\n'
grep -qF '{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hola"}' system.jsonl
