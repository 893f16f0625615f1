#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/templates/cases.jsonl: chat templates, what goes in, and what Jinja (set up as transformers does) makes of it.

The chat templates here are written from the formats that the models' cards document; the small cases cover one feature each.
Usage: templates.py OUT.jsonl   (needs jinja2; the version used is stored in the first line)
"""
import datetime
import json
import sys

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

NOW = 1722470400  # 2024-08-01 00:00 UTC


class Generation(Extension):
    """{% generation %}…{% endgeneration %} of transformers: here it only passes its body through."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


class Refused(Exception):
    pass


def environment(mutable):
    def raise_exception(message):
        raise Refused(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(form)

    kind = SandboxedEnvironment if mutable else ImmutableSandboxedEnvironment
    env = kind(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

SMOLLM2 = """{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\\nYou are a helpful AI assistant.<|im_end|>\\n' }}
{% endif %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{% endif %}
"""

LLAMA2 = """
{%- if messages and messages[0].role == 'system' -%}
    {%- set turns = messages[1:] -%}
    {%- set preface = '<<SYS>>\\n' ~ messages[0].content ~ '\\n<</SYS>>\\n\\n' -%}
{%- else -%}
    {%- set turns = messages -%}
    {%- set preface = false -%}
{%- endif -%}
{%- for turn in turns -%}
    {%- if (turn.role == 'user') != (loop.index0 % 2 == 0) -%}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') -}}
    {%- endif -%}
    {%- set text = preface + turn.content if loop.index0 == 0 and preface is not false else turn.content -%}
    {%- if turn.role == 'user' -%}
        {{- bos_token + '[INST] ' + text.strip() + ' [/INST]' -}}
    {%- elif turn.role == 'assistant' -%}
        {{- ' ' + text | trim + ' ' + eos_token -}}
    {%- endif -%}
{%- endfor -%}
"""

LLAMA3 = """
{%- set ns = namespace(first=true) -%}
{%- for m in messages -%}
    {%- set piece -%}
<|start_header_id|>{{ m['role'] }}<|end_header_id|>

{{ m['content'] | trim }}<|eot_id|>
    {%- endset -%}
    {%- if ns.first -%}
        {%- set piece = bos_token + piece -%}
        {%- set ns.first = false -%}
    {%- endif -%}
    {{- piece -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
{%- endif -%}
"""

LLAMA31 = """{{- bos_token }}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {{- "Functions you may call, as JSON:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("Tools need a first user message") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {{- "Answer with a JSON call of one of these functions.\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL_V2 = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)

MISTRAL_V3 = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- This block checks for alternating user/assistant messages, skipping tool calling messages #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
"""

NEMO = MISTRAL_V3.replace('"[INST] "', '"[INST]"').replace('[TOOL_CALLS] [', '[TOOL_CALLS][').replace('" " + message', 'message')

ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)

PHI3 = (
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content']"
    " + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
)

PHI4_MINI = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}" \
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"

COMMAND_R = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% elif false == true %}{% set rest = messages %}{% set system = 'Default.' %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% if system != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in rest %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'  + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"""

COMMAND_R_TOOLS = """
{%- macro type_of(p) -%}
    {%- if p.type == 'string' -%}str
    {%- elif p.type == 'array' -%}
        {%- if p['items'] is defined -%}List[{{ type_of(p['items']) }}]{%- else -%}List{%- endif -%}
    {%- elif p.type in ['integer', 'number'] -%}{{ {'integer': 'int', 'number': 'float'}[p.type] }}
    {%- else -%}Any
    {%- endif -%}
{%- endmacro -%}
{%- macro arguments(params) -%}
    {%- for name, p in params.properties.items() -%}
        {{ name }}: {% if name not in params.required %}Optional[{{ type_of(p) }}] = None{% else %}{{ type_of(p) }}{% endif %}
        {%- if not loop.last %}, {% endif -%}
    {%- endfor -%}
{%- endmacro -%}
{{ bos_token }}<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>
{%- for tool in tools %}
```python
def {{ tool.function.name }}({{ arguments(tool.function.parameters) }}) -> List[Dict]:
    \"\"\"{{ tool.function.description }}{% if tool.function.parameters.properties | length > 0 %}


    Args:
{%- for name, p in tool.function.parameters.properties.items() %}

        {{ name }} ({{ type_of(p) }}): {{ p.description | default('no description') }}
{%- endfor %}{% endif %}

    \"\"\"
    pass
```
{%- endfor %}<|END_OF_TURN_TOKEN|>
{%- for message in messages -%}
<|START_OF_TURN_TOKEN|>{{ '<|USER_TOKEN|>' if message.role == 'user' else '<|CHATBOT_TOKEN|>' }}
    {%- if message.tool_calls is defined -%}
Action: ```json
[
        {%- for call in message.tool_calls %}
            {{- '\\n' }}{% filter indent(4, true) %}{{ {'tool_name': call.function.name, 'parameters': call.function.arguments} | tojson(indent=4) }}{% endfilter %}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
{{ ']```' }}
    {%- else -%}
{{ message.content | trim }}
    {%- endif -%}
<|END_OF_TURN_TOKEN|>
{%- endfor -%}
"""

HERMES_TOOLS = """{%- macro render_content(content) %}
    {%- if content is string %}
        {{- content }}
    {%- elif content is iterable %}
        {%- for part in content %}
            {%- if part.type == 'text' %}{{- part.text }}{%- else %}{{- '<' ~ part.type ~ '>' }}{%- endif %}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = render_content(message.content) %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (loop.previtem.role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (loop.nextitem.role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

U = lambda t: {"role": "user", "content": t}
A = lambda t: {"role": "assistant", "content": t}
S = lambda t: {"role": "system", "content": t}

ONE = [U("Hello there")]
TALK = [U("¿Qué hora es?"), A("  Son las tres.\n"), U("Thanks <|im_end|> & \"bye\"")]
WITH_SYSTEM = [S(" Be brief. ")] + TALK
WRONG = [A("me first"), U("no")]
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Today's weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "where"}, "days": {"type": "array", "items": {"type": "integer"}}},
        "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "The time — ñ", "parameters": {
        "type": "object", "properties": {}, "required": []}}},
]
CALLS = [U("Weather in Lima?"),
         {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function",
          "function": {"name": "weather", "arguments": {"city": "Lima", "days": [1, 2], "deep": {"x": None, "y": True, "z": 1.5}}}}]},
         {"role": "tool", "tool_call_id": "abcdefghi", "content": "{\"t\": 21}"},
         A("21 degrees."), U("Good")]
PARTS = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}, A("<think>\nhm\n</think>\n\nA cat."), U("Sure?")]

FAMILIES = {
    "chatml": CHATML, "smollm2": SMOLLM2, "llama2": LLAMA2, "llama3": LLAMA3, "llama31": LLAMA31, "mistral-v2": MISTRAL_V2,
    "mistral-v3": MISTRAL_V3, "nemo": NEMO, "zephyr": ZEPHYR, "gemma": GEMMA, "phi3": PHI3, "phi4-mini": PHI4_MINI,
    "command-r": COMMAND_R, "command-r-tools": COMMAND_R_TOOLS, "hermes-tools": HERMES_TOOLS,
}


def family_cases():
    for name, text in FAMILIES.items():
        for label, messages, extra in (("one", ONE, {}), ("talk", TALK, {}), ("system", WITH_SYSTEM, {}), ("wrong", WRONG, {}),
                                       ("tools", CALLS, {"tools": TOOLS}), ("parts", PARTS, {"enable_thinking": False})):
            for generate in (False, True):
                yield {"name": f"{name}/{label}{'/generate' if generate else ''}", "family": name, "messages": messages,
                       "extra": extra, "add_generation_prompt": generate}


# One feature each: (template, extra variables). messages is TALK for all.
FEATURES = [
    "a {{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}",
    "{{ 1.0 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 123456789.125 }} {{ 1e16 }} {{ 1e15 }} {{ 0.1 + 0.2 }} {{ 3 / 2 }} {{ 4 / 2 }} {{ 1_000 }} {{ 0x1F }} {{ 0b11 }} {{ 0o17 }}",
    "{{ true }} {{ False }} {{ none }} {{ None }} {{ True and 3 }} {{ 0 or 'x' }} {{ not 1 }} {{ not not [] }}",
    "{{ 'a' ~ 1 ~ none ~ 2.5 ~ [1, 'b'] }}",
    "{{ [1, 'two', 3.0, none, true, [4], {'k': 'v'}, (5,), (6, 7)] }} {{ () }} {{ {} }}",
    "{{ 'it\\'s' }} {{ [\"it's\", 'say \"hi\"', 'both \\' \"', 'tab\\t', 'nl\\n', 'ñ', 'back\\\\slash'] }}",
    "{{ 'x' in 'xyz' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 3 not in (1, 2) }} {{ nope in [1] }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ true == 1 }} {{ 'a' == 1 }} {{ (1, 2) == (1, 2) }}",
    "{{ 'yes' if 1 else 'no' }} {{ 'yes' if 0 }}| {{ 'a' if 0 else 'b' if 0 else 'c' }}",
    "{{ nope }}|{{ nope is defined }}|{{ nope | default('d') }}|{{ '' | default('e', true) }}|{{ none | d('f') }}|{{ none | d('f', boolean=True) }}",
    "{{ messages[0].nope }}|{{ messages[9] }}|{{ messages[-1].role }}|{{ messages[0]['role'] }}",
    "{{ 'abcdef'[1:4] }} {{ 'abcdef'[::-1] }} {{ 'abcdef'[-3:] }} {{ 'abcdef'[:-2] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[4:1:-1] }} {{ 'áéíóú'[1:3] }} {{ 'áéíóú'[-1] }}",
    "{{ [1,2,3,4,5][1:] }} {{ [1,2,3,4,5][::-2] }} {{ [1,2,3][10:] }} {{ [1,2,3][-10:2] }} {{ (1,2,3)[1:] }} {{ [1,2,3][none:2] }}",
    "{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in 'abc' %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in [] %}x{% else %}empty{% endfor %} {% for x in nope %}x{% else %}undefined{% endfor %}",
    "{% for x in range(10) if x % 2 %}{{ x }}/{{ loop.length }} {% endfor %}",
    "{% for k, v in {'a': 1, 'b': [2]}.items() %}{{ k }}={{ v }};{% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for a in [1,2] %}{% for b in [1,2] %}{{ loop.depth }}{{ a }}{{ b }} {% endfor %}{{ loop.index }} {% endfor %}",
    "{% for x in [1,2,3] %}{{ loop.cycle('odd', 'even') }} {{ loop.changed(x // 2) }} {% endfor %}",
    "{% set x = 1 %}{% for i in [1,2] %}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, s='') %}{% for i in [1,2,3] %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }} {{ ns.s }} {{ ns.other }}",
    "{% if true %}{% set y = 2 %}{% endif %}{{ y }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}",
    "{% set x %}block {{ 1 + 1 }}{% endset %}[{{ x }}]{% set y | upper | trim %}  shout {% endset %}[{{ y }}]",
    "{% macro f(a, b=2, c='x') %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(1, c='z') }}{{ f() }}{{ f(b=1, a=2) }}",
    "{% macro f() %}{{ varargs }} {{ kwargs }}{% endmacro %}{{ f(1, 2, k=3) }}",
    "{% macro f(x) %}<{{ caller() }}|{{ x }}>{% endmacro %}{% call f(1) %}body{% endcall %}",
    "{% macro f(x) %}{% for i in x %}{{ caller(i) }},{% endfor %}{% endmacro %}{% call(i) f([1,2]) %}*{{ i }}*{% endcall %}",
    "{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1) | int) }}{% endif %}{% endmacro %}{{ fact(10) }}",
    "{% set outer = 'o' %}{% macro f() %}{{ outer }}{% endmacro %}{{ f() }}{% set outer = 'p' %}{{ f() }}",
    "{% filter upper %}loud {{ 'quiet' }}{% endfilter %} {% filter replace('a', 'b') | indent(2) %}a\na{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% raw %}{{ not }} {% this %} {# nor this #}{% endraw %} x {%- raw -%}  y  {%- endraw -%} z",
    "a {# comment {{ x }} #} b {#- tight -#} c",
    "{% generation %}in{% endgeneration %} out",
    "{% if false %}a{% elif none %}b{% elif 1 %}c{% else %}d{% endif %}",
    "{{ '  trim me ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ ' a '.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'xyaxy'.strip('xy') }}",
    "{{ 'hello wORLD' | upper }} {{ 'Hello ÑANDÚ' | lower }} {{ 'hello wORLD' | title }} {{ 'hello wORLD' | capitalize }} {{ 'ñandú élan' | upper }}",
    "{{ 'hello wORLD they\\'re'.title() }} {{ 'HELLO'.capitalize() }} {{ 'a-b c'.title() }} {{ 'a-b c (d' | title }}",
    "{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ ' a  b c '.split(none, 1) }} {{ 'x'.split(',') }} {{ ''.split() }} {{ ''.split(',') }}",
    "{{ 'abcabc'.replace('b', 'X') }} {{ 'abcabc'.replace('b', 'X', 1) }} {{ 'abc' | replace('c', '') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }}",
    "{{ 'prefix-x'.startswith('prefix') }} {{ 'x.py'.endswith('.py') }} {{ 'x.py'.endswith(('.c', '.py')) }} {{ 'abc'.find('c') }} {{ 'abc'.find('z') }} {{ 'ábcb'.rfind('b') }} {{ 'banana'.count('an') }} {{ 'ábc'.index('c') }}",
    "{{ ', '.join(['a', 'b']) }} {{ [1, 2, 3] | join('-') }} {{ messages | join(',', attribute='role') }} {{ 'abc' | join('.') }} {{ [] | join }}",
    "{{ 'abc'.isalpha() }} {{ '123'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' \\t'.isspace() }} {{ 'ABC'.isupper() }} {{ 'abc'.islower() }} {{ ''.isdigit() }}",
    "{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'x'.ljust(3) }}| {{ 'x'.rjust(3) }} {{ 'x'.center(4) }}| {{ '-7'.zfill(1) }} {{ '7'.zfill(3) }}",
    "{{ 'a\\nb\\r\\nc'.splitlines() }} {{ 'pre_x'.removeprefix('pre_') }} {{ 'x_suf'.removesuffix('_suf') }} {{ '{} and {} {0}{n}'.replace('{0}', '').format(1, 'b', n='c') }}",
    "{{ messages | map(attribute='role') | list }} {{ ['a', 'b'] | map('upper') | list }} {{ messages | map(attribute='nope', default='-') | list }} {{ [[1, 2], [3]] | map('first') | list }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'eq', 'user') | map(attribute='content') | list }} {{ messages | selectattr('nope') | list }} {{ messages | selectattr('role', 'in', ['user']) | list | count }}",
    "{{ [0, 1, 2, none, ''] | select | list }} {{ [1, 2, 3, 4] | select('odd') | list }} {{ [1, 2, 3, 4] | reject('divisibleby', 2) | list }} {{ [1, 'a', 2.5] | select('string') | list }}",
    "{{ {'b': 1, 'a': 2, 'C': 3} | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(by='value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }} {{ {'x': 1} | items | list }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A', 'c'] | sort(case_sensitive=true) }} {{ [3, 1, 2] | sort(reverse=true) }} {{ messages | sort(attribute='content') | map(attribute='role') | join(',') }}",
    "{{ [1, 2, 1, 'a', 'A'] | unique | list }} {{ [1, 2, 3] | reverse | list }} {{ 'abc' | reverse }} {{ [1, 2, 3] | first }} {{ [1, 2, 3] | last }} {{ 'abc' | first }} {{ 'abc' | last }} {{ [] | first }}",
    "{{ [1, 2, 3] | sum }} {{ [1.5, 2] | sum }} {{ [[1], [2]] | sum(start=[]) }} {{ [{'n': 1}, {'n': 2}] | sum(attribute='n') }} {{ [3, 1] | min }} {{ ['b', 'A'] | max }} {{ [] | max }}",
    "{{ 42.55 | round }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(0, 'ceil') }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 7 | round }} {{ -3 | abs }} {{ -3.5 | abs }} {{ 1.005 | round(2) }}",
    "{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '3.9' | int }} {{ 3.9 | int }} {{ '0x1f' | int(base=16) }} {{ '1e2' | float }} {{ 'x' | float }} {{ 5 | float }} {{ true | int }} {{ 5 | string }} {{ [1] | string }} {{ none | int(3) }}",
    "{{ '<a href=\"x\">&\\'</a>' | e }} {{ 'x' | safe }} {{ '<' | escape }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb\n' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}",
    "{{ 'one two  three' | wordcount }} {{ [1, 2, 3] | length }} {{ 'añb' | length }} {{ {'a': 1} | count }} {{ '%s-%05.2f-%d-%x' | format('a', 3.14159, 42, 255) }} {{ '%-5s|%5s|' | format('ab', 'cd') }} {{ '%(a)s' | format(a=1) }}",
    "{{ 'a %s b %d%%' % ('x', 3) }} {{ '%r' % 'q' }} {{ 'a' * 3 }} {{ [0] * 2 }} {{ 2 * 'ab' }} {{ [1] + [2] }} {{ (1,) + (2,) }}",
    "{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, '-') | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }} {{ [1, 2, 3] | slice(2, '-') | list }}",
    "{% for role, group in messages | groupby('role') %}{{ role }}:{{ group | length }} {% endfor %}",
    "{{ {'a': [1, 2.5, 'ñ\"\\n', none, true], 'b': {}} | tojson }} {{ [] | tojson }} {{ 'x' | tojson }} {{ 1.0 | tojson }} {{ '</script>' | tojson }}",
    "{{ {'a': [1, {'b': 2}], 'c': {}, 'd': []} | tojson(indent=2) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [1, 2] | tojson(separators=(',', ':')) }} {{ 'ñ😀' | tojson(ensure_ascii=true) }} {{ '\\u0001\\t' | tojson }}",
    "{{ {1: 'a', none: 'b', true: 'c'} | tojson }} {{ (1, 2) | tojson }}",
    "{{ 1 is odd }} {{ 2 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 'a' is string }} {{ 1 is number }} {{ 1.5 is float }} {{ 1 is integer }} {{ true is integer }} {{ true is number }} {{ true is boolean }} {{ none is none }} {{ [] is sequence }} {{ {} is mapping }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ nope is iterable }}",
    "{{ 1 is eq 1 }} {{ 1 is ne(2) }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 'a' is in ['a'] }} {{ 1 is not none }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 'A' is upper }} {{ 'a' is lower }} {{ 'x' is equalto 'x' }} {{ 3 is greaterthan 2 }} {{ range is callable }} {{ none is sameas none }} {{ 'upper' is filter }} {{ 'odd' is test }}",
    "{{ 'x' is defined and 'y' is string or 0 }} {{ not 1 is even }}",
    "{{ range(3) | list }} {{ range(1, 4) | list }} {{ range(10, 0, -3) | list }} {{ dict(a=1, b='x') }} {{ dict({'a': 1}, b=2) }}",
    "{% set j = joiner(' | ') %}{% for x in [1, 2, 3] %}{{ j() }}{{ x }}{% endfor %}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1, 'b': 2}.keys() | list }} {{ {'a': 1}.values() | list }} {{ {'a': 1}.items() | list }} {{ {'items': 5}['items'] }}",
    "{{ {'a': {'b': [10, 20]}}.a.b.1 }} {{ [[1, 2], [3]][0][1] }} {{ {'a b': 1}['a b'] }}",
    "  {% if true %}\n  kept indent\n  {% endif %}\nafter\n",
    "line\n    {%- if true %}  x  {%- endif %}  \n  end",
    "a\n  {%+ if true %}b{% endif %}\n\n  {% if true +%}\nc{% endif %}\n",
    "a\n  {{ 1 }}\n  {{- 2 -}}\n  b\n\n",
    "{% for x in [1,2] %}\n  {{ x }}\n{% endfor %}\nend\n",
    "x\n  {# c #}\ny {# d #}\nz\n",
    "{% if true %}\r\na\r\n{% endif %}\r\nb\r\n",
    "tail newline\n\n",
    "{{ '}}' }} {{ {'a': {'b': 1}} }} {{ {'a': {'b': 1}}['a'] }} {{ \"{% x %}\" }}",
    "{{ 'a' 'b' \"c\" }} {{ 'tab\\there' }} {{ 'u\\u00f1 \\x41 \\101 \\q' }}",
    "{{ -1 }} {{ - 1 + 3 }} {{ +2 }} {{ 3 - -3 }} {{ -3 | abs }} {{ (1, 2)[0] }} {{ (1 + 2) * 3 }}",
    "{{ 10 // 3 * 3 + 10 % 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ 1 / 3 }} {{ true + true }}",
    "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M') }}",
    "{{ bos_token }}x{{ eos_token }}{{ pad_token }}|{{ unk_token is defined }}",
    "{% set messages = messages[1:] %}{{ messages | length }}{% for m in messages %}{{ m.role }}{% endfor %}",
    "{% set t = [] %}{% for m in messages %}{% set t = t + [m.role] %}{% endfor %}{{ t }}",
    "{{ messages[0] }}",
    "{{ messages[0] == messages[0] }} {{ messages[0] == messages[2] }} {{ messages[1:] == messages[1:] }}",
    "{{ messages | tojson }}",
    "{{ number }} {{ real }} {{ big }} {{ nothing }} {{ yes }} {{ nested.list[1].x }} {{ text | length }} {{ whole }}",
    "{{ nested.items() | list }} {% for key in nested %}{{ key }} {% endfor %}{{ nested | length }}",
    "{{ 'a' if nope is defined and nope.x else 'b' }} {{ nope and nope.x }} {{ (nope or {}).x }}",
    "{%- set x = {'a': 1} -%} {%- if x.a is defined and x.b is not defined -%} ok {%- endif -%}",
    "{{ [1, [2, [3]]] }} {{ [none, true] }} {{ {'x': none} }} {{ [1.0, 1e20, -0.5] }} {{ ['\\u200b', '\\u00a0'] }}",
    "{{ 'abc' | list }} {{ {'a': 1} | list }} {{ (1, 2) | list }} {{ 'a' | string | length }}",
    "{{ [{'a': {'b': 2}}, {'a': {'b': 1}}] | map(attribute='a.b') | sort | list }} {{ [[1, 'x'], [0, 'y']] | sort(attribute=0) }} {{ [[1, 'x'], [0, 'y']] | map(attribute=1) | join }}",
    "{{ 'x' | default('y') | upper ~ 'z' }} {{ ('a' ~ 'b') | upper }} {{ 'a' ~ 'b' | upper }}",
    "{{ 'line1\\nline2'.split('\\n')[-1] }} {{ 'k=v'.split('=')[1] }} {{ ' x '.strip() ~ '|' }}",
    "{% for c in 'aé😀' %}[{{ c }}]{% endfor %} {{ 'aé😀' | length }} {{ 'aé😀'[2] }}",
    "{{ 1 if true }}{{ 2 if false }}|{{ (1 if false) is defined }}",
    "{%- for m in messages -%}{%- if loop.first -%}F{%- elif loop.last -%}L{%- else -%}M{%- endif -%}{%- endfor -%}",
    "{% set ns = namespace() %}{% set ns.found = false %}{% for m in messages %}{% if m.role == 'assistant' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}",
    "{% macro show(m) -%}\n  {{- m.role }}: {{ m.content | trim }}\n{%- endmacro -%}\n{% for m in messages %}\n{{ show(m) }}\n{% endfor %}",
    "{{ ('a', 'b') | join(',') }} {{ 'a' in ('a', 'b') }} {% if ('a', 'b') %}t{% endif %}",
    "{{ 'ÀÉ'.lower() }} {{ 'straße' | upper }} {{ 'ÿ' | upper }} {{ 'ΑΒΓ' | lower }} {{ 'привет' | capitalize }}",
    "{% print 'p' %} {% print 1, 2 %}",
    "{{ {'a': 1,} }} {{ [1, 2,] }} {{ (1,) }} {{ range(2,) | list }}",
    "{{ 3 | string ~ 4 }} {{ '5' | int + 1 }} {{ '1,2' | replace(',', '.') | float }}",
    "{% set s = 'x' %}{% set s = s ~ 'y' %}{{ s }}{% if s == 'xy' %}!{% endif %}",
    "{{ 'a\\\\nb' }} {{ 'percent %' }} {{ '#}' }}",
    "{{ messages[0].content[:4] }}{{ messages[0]['content'][-2:] }} {{ messages[0].content.split()[0] | upper }}",
    "{% for n in [3, 1, 2] | sort %}{{ n }}{% endfor %} {% for n in range(3) | reverse %}{{ n }}{% endfor %}",
    "{{ 0.1 }} {{ 1e-5 }} {{ 0.0001 }} {{ 1e22 }} {{ 1.7976931348623157e308 }} {{ 5e-324 }} {{ -0.0 }} {{ 100.0 }}",
    "{{ 'a' < 'B' }} {{ 'é' > 'z' }} {{ 'abc' < 'abcd' }} {{ 1 < 1.5 }} {{ true < 2 }}",
    "{% if messages[0]['content'] is string and messages[0]['content']|length > 3 %}long{% endif %}",
    "{% if not (messages and messages[0].role == 'system') %}no system{% endif %}",
    "{{ {'role': 'x'} | attr('role') }}|{{ 'up' | attr('upper') is callable }}",
    # what must be refused
    "{{ nope.x }}", "{{ nope['x'] }}", "{{ nope() }}", "{{ nope + 1 }}", "{{ messages[0].nope.x }}", "{{ 1 + 'a' }}", "{{ 1 / 0 }}",
    "{{ 'a' < 1 }}", "{{ raise_exception('told you') }}", "{{ 5() }}", "{% for x in 5 %}{% endfor %}", "{{ none + 'x' }}",
    "{% set a, b = [1] %}", "{% set messages.x = 1 %}", "{{ 5 | length }}", "{{ nope | tojson }}", "{{ range(200000) }}",
    "{{ 'a' | nosuch }}", "{{ 'a' is nosuch }}", "{{ {[1]: 2} }}", "{{ 'a'.index('b') }}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "{{ 'x' in 5 }}", "{{ 'abc'[::0] }}",
    "{{", "{% if %}x{% endif %}", "{% if true %}", "{% for x in %}{% endfor %}", "{{ 1 + }}", "{% endif %}", "{{ 'open }}", "{# open",
    "{% raw %}open", "{{ (1 }}", "{{ ) }}", "{% nosuch %}", "{% set %}", "{% set 5 = 1 %}", "{% set true = 1 %}", "{{ a b }}",
    "{% for x in [1] %}{% else %}", "{% break %}", "{{ 1 | }}", "{{ x is }}", "{{ a. }}", "{{ [1, 2 }}", "{% macro %}{% endmacro %}",
    "{% if true %}x{% endfor %}", "{{ $ }}", "{% else %}",
]

MUTABLE = [
    "{% set l = [1] %}{% set _ = l.append(2) %}{{ l }} {{ l.pop() }} {{ l }} {{ l.extend([5, 6]) or l }} {{ l.insert(0, 9) or l }} {{ l.index(5) }} {{ l.count(5) }} {{ l.reverse() or l }} {{ l.pop(0) }}",
    "{% set d = {'a': 1} %}{% set _ = d.update({'b': 2}) %}{{ d }} {{ d.pop('a') }} {{ d }} {{ d.setdefault('c', 3) }} {{ d.pop('zz', 4) }} {{ d.copy() }}",
    "{% set l = [1, 2] %}{% for x in l %}{% if loop.index < 5 %}{% endif %}{{ x }}{% endfor %}",
]

EXTRA = {"number": 3, "real": 2.5, "big": 123456789012345678, "nothing": None, "yes": True, "text": "a\u00f1\U0001f600", "whole": 3.0,
         "nested": {"list": [1, {"x": "y"}], "k": "v"}}


def run(case, mutable):
    variables = {"messages": case["messages"], "add_generation_prompt": case["add_generation_prompt"], "tools": None,
                 "documents": None, "bos_token": "<s>", "eos_token": "</s>", **case["extra"]}
    try:
        case["want"] = environment(mutable).from_string(case.get("template") or FAMILIES[case["family"]]).render(**variables)
    except Refused as e:
        case["refused"] = str(e)
    except Exception as e:  # noqa: BLE001 - whatever Jinja raises is a refusal to compare
        case["error"] = type(e).__name__
    return case


def main(path):
    cases = list(family_cases())
    for i, text in enumerate(FEATURES + MUTABLE):
        cases.append({"name": f"feature-{i:03d}", "template": text, "messages": TALK, "extra": EXTRA, "add_generation_prompt": True})
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps({"made_by": "tests/oracle/templates.py", "jinja2": jinja2.__version__, "now": NOW, "families": FAMILIES}) + "\n")
        for case in cases:
            f.write(json.dumps(run(case, case.get("template") in MUTABLE), ensure_ascii=False) + "\n")
    print(len(cases), "cases,", sum("want" in c for c in cases), "rendered,", sum("refused" in c for c in cases), "refused,",
          sum("error" in c for c in cases), "errors")
    for c in cases:
        if c["name"].startswith("feature") and "error" in c:
            print("  error:", c["error"], c["template"][:60].replace("\n", "\\n"), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
