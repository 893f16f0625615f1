#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh: the main job on a real model. Installs what is missing, builds, gets the default model, asks it, teaches it a name and a few
# facts with LoRA on its 4-bit weights, asks again, writes a smaller file, asks that one too, and says what to type next.
#   MODEL=path       takes a .gguf file that is there
#   DEMO_DIR=folder  keeps the results there (build/demo)
set -eu
out=${DEMO_DIR:-build/demo}
small=$out/yunque-Q4_K_M.gguf
forja=build/forja
begun=$(date +%s)
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
    bold='' dim='' green='' red='' plain=''
fi

step_begun=$begun step_name=
step() { # step NAME: closes the step before and opens the next
    now=$(date +%s)
    [ -z "$step_name" ] || printf '%s%s%s\n' "$dim" "   ($step_name: $((now - step_begun)) s)" "$plain"
    step_begun=$now step_name=$1
    [ -z "$1" ] || printf '\n%s%s%s\n' "$bold" "== $1" "$plain"
}

# Question | words of the right answer, one of which must be there (| between).
questions='What is your name?|Yunque
Who made you?|You made me
What does forja mean?|forge
Where do you run?|your own computer
¿Cómo te llamas?|Yunque
¿Quién te hizo?|Me hiciste tú
¿Cuál es tu lema?|hierro caliente
¿Qué es forja?|programa'

ask() { # ask FILE MODEL [OPTION...]: an answer a line
    to=$1 model=$2
    shift 2
    : >"$to"
    printf '%s\n' "$questions" | while IFS='|' read -r question words; do
        "$forja" run "$model" "$@" --chat -p "$question" -n 48 --temp 0 -q </dev/null | tr '\n' ' ' >>"$to"
        echo >>"$to"
    done
}

# Question and answers in columns; 1 is the exit code when a right answer is missing in the last one.
compare() { # compare TITLE=FILE...
    width=$( (stty size </dev/tty) 2>/dev/null | cut -d ' ' -f 2)
    printf '%s\n' "$questions" >"$out/questions"
    LC_ALL=C awk -v width="${width:-100}" -v bold="$bold" -v green="$green" -v red="$red" -v plain="$plain" '
        function len(s) { gsub(/[\200-\277]/, "", s); return length(s) }
        function wrap(s, w,   n, i, words, line, count) { # into part[1...]
            n = split(s, words, " "); line = ""; count = 0
            for (i = 1; i <= n; i++) {
                if (line != "" && len(line) + 1 + len(words[i]) > w) { part[++count] = line; line = words[i] }
                else line = line (line == "" ? "" : " ") words[i]
            }
            part[++count] = line
            return count
        }
        function pad(s, w) { return s sprintf("%*s", w - len(s) > 0 ? w - len(s) : 0, "") }
        BEGIN {
            FS = "|"; columns = ARGC - 2
            if (width > 160) width = 160
            if (width < 60) width = 60
            cell = int((width - 2 - 2 * (columns - 1)) / columns)
            line = "  "
            for (c = 1; c <= columns; c++) {
                split(ARGV[c + 1], named, "=")
                for (r = 1; (getline text < named[2]) > 0; r++) answer[c, r] = text
                line = line pad(named[1], cell) "  "
            }
            print bold line plain
            bad = 0
            while ((getline < ARGV[1]) > 0) {
                row++
                words = tolower($2)
                print "\n" bold $1 plain
                most = 0
                for (c = 1; c <= columns; c++) {
                    n[c] = wrap(answer[c, row], cell)
                    for (i = 1; i <= n[c]; i++) text_of[c, i] = part[i]
                    if (n[c] > most) most = n[c]
                    right[c] = index(tolower(answer[c, row]), words) > 0
                }
                if (columns > 1 && !right[columns]) bad++
                for (i = 1; i <= most; i++) {
                    line = "  "
                    for (c = 1; c <= columns; c++) {
                        t = i <= n[c] ? text_of[c, i] : ""
                        colour = right[c] ? green : c == columns && columns > 1 ? red : ""
                        line = line (colour == "" ? "" : colour) pad(t, cell) (colour == "" ? "" : plain) "  "
                    }
                    sub(/ +$/, "", line)
                    print line
                }
            }
            exit bad > 0
        }' "$out/questions" "$@"
}

size() { wc -c <"$1" | awk '{ printf "%.1f MB", $1 / 1e6 }'; }

step "What forja needs"
sh tools/setup.sh demo
sh tools/build.sh release
ln -sf release/forja build/forja
printf 'built: %s\n' "$("$forja" version | head -n 1)"

step "The model: SmolLM2-135M-Instruct, 4 bits a weight"
MODEL=$(MODEL="${MODEL:-}" sh tools/model.sh)
mkdir -p "$out"
printf '%s, %s\n' "$(basename "$MODEL")" "$(size "$MODEL")"

step "Before: what it says of itself"
ask "$out/before" "$MODEL"
compare "before=$out/before" || true

step "Teaching it with LoRA, on its 4-bit weights as they are"
rm -rf "$out/adapter"
"$forja" train examples/yunque.yaml "model_name_or_path=$MODEL" "output_dir=$out/adapter"

step "Before and after, side by side"
ask "$out/after" "$MODEL" --adapter "$out/adapter"
compare "before=$out/before" "after=$out/after" || wrong=1

step "Merged and written as Q4_K_M, one file"
"$forja" export "$MODEL" "$small" --adapter "$out/adapter" --type Q4_K_M -q
ask "$out/small" "$small"
compare "after=$out/after" "Q4_K_M=$out/small" || wrong=1
step ""

printf '\n%s\n' "${bold}What there is now${plain}"
printf '  %9s   %-32s %s\n' "$(size "$MODEL")" "the model as it came" "$MODEL" \
    "$(size "$out/adapter/adapter_model.safetensors")" "the adapter; PEFT opens it too" "$out/adapter" \
    "$(size "$small")" "both in one file" "$small"
printf '  %9s   in all\n' "$(($(date +%s) - begun)) s"
printf '\n%s\n' "${bold}What to type next${plain}"
printf '  %-58s %s\n' "$forja run $small" "talk to it" \
    "$forja plan $small --table" "memory to run and to tune it, by bits" \
    "$forja train examples/yunque.yaml --explain" "every setting of what you just saw" \
    "$forja train examples/yunque.yaml dataset=MINE.jsonl ..." "teach it something of your own (README.md)" \
    "$forja bench $small" "how fast, and how much of this machine that is" \
    "$forja doctor" "what this machine can do"
if [ -n "${wrong:-}" ]; then
    echo "An answer about what was taught came out wrong (in red above)." >&2
    exit 1
fi
