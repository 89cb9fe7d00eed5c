"""Messages as JSON Schema: what callers send, read strictly, and what they get.

A message that goes both ways has a schema for each: what is sent has nothing that the contract does
not know, and takes null for what is not sent; what comes back may gain fields.
"""

from __future__ import annotations

from collections import Counter

from google.protobuf import field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from codegen.derived_rules import words
from openapi import contract, rules
from openapi.rules import NO_CONTROL_CHARACTERS, Schema
from server.rpc.method import Method
from server.rpc.status import STATUSES

_TIMESTAMP = timestamp_pb2.Timestamp.DESCRIPTOR.full_name
_FIELD_MASK = field_mask_pb2.FieldMask.DESCRIPTOR.full_name
# Of the envelope that replies have over REST.
SUCCESS: Schema = {"type": "boolean", "description": "Whether the call succeeded."}
TIMESTAMP: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "When the reply was sent.",
}


class Schemas:
    """Makes the schemas of messages, each once."""

    def __init__(self, replies: list[Descriptor]) -> None:
        """`replies` are all messages that callers get; those inside them are included."""
        self.components: dict[str, Schema] = {}
        self._messages: dict[str, str] = {}
        self._got: set[str] = set()
        self._lists: list[EnumDescriptor] = []
        for message in replies:
            self._gather(message)

    def reply(self, message: Descriptor) -> Schema:
        """A reference to the schema of a message that is a reply, with what REST has around it."""
        reference = self.bare(message)
        schema = self.components[message.name]
        schema["properties"] = (
            {"success": SUCCESS} | schema["properties"] | {"timestamp": TIMESTAMP}
        )
        schema["required"] = ["success", *schema.get("required", ()), "timestamp"]
        return reference

    def bare(self, message: Descriptor) -> Schema:
        """A reference to the schema of a message that callers get."""
        if self._claim(message.name, message):
            properties = {f.json_name: self._got_field(f) for f in message.fields}
            schema: Schema = {
                "type": "object",
                "description": contract.comment(message.full_name),
                "properties": properties,
            }
            if always := [f.json_name for f in message.fields if _is_always_there(f)]:
                schema["required"] = always
            self.components[message.name] = schema | _one_of(message)
        return reference(message.name)

    def failing_reply(self, method: Method, error: Schema) -> Schema:
        """A reference to the schema of a reply that reports a failure, and of the error in its place.

        One object for both: of a choice, generated clients make types that lose what the object has itself.
        """
        name = f"{method.descriptor.name}Failure"
        of_reply = self.components[method.descriptor.output_type.name]["properties"]
        properties = of_reply | {"error": reference("ErrorBody"), "timestamp": TIMESTAMP}
        self.components[name] = {
            "type": "object",
            "description": "What was found, or the error for which nobody could look.",
            "required": ["success", "timestamp"],
            "properties": properties,
        }
        return error | reference(name)

    def body(self, method: Method) -> tuple[Schema, bool]:
        """A reference to the schema of an RPC's body, and whether there must be one."""
        message = method.request
        sent = list(method.sent_fields.values())
        if self._claim(message.name, message):
            schema = self._sent_object(message, sent)
            if method.descriptor.name.startswith("Update") and "required" not in schema:
                schema["minProperties"] = 1  # an update of nothing is refused
            self.components[message.name] = schema
        needed = any(key in self.components[message.name] for key in ("required", "minProperties"))
        return reference(message.name), needed

    def name_words(self) -> None:
        """Give the words of two lists that share one the names of the contract's enums.

        Generated Go has the words of all lists in one scope, with the codes of errors.
        """
        count = Counter(word for enum in self._lists for word in words(enum))
        count.update(map(str.lower, STATUSES))
        for enum in self._lists:
            if any(count[word] > 1 for word in words(enum)):
                names = [value.name for value in enum.values[1:]]
                self.components[enum.name]["x-enum-varnames"] = names

    def parameter(self, field: FieldDescriptor) -> Schema:
        """Of a field that comes in the path or the query."""
        return self._sent_value(field)

    def _sent_object(self, message: Descriptor, sent: list[FieldDescriptor]) -> Schema:
        schema: Schema = {
            "type": "object",
            "description": contract.comment(message.full_name),
            "properties": {field.json_name: self._sent_field(field) for field in sent},
        }
        if needed := [field.json_name for field in sent if rules.is_required(field)]:
            schema["required"] = needed
        return schema | {"additionalProperties": False}

    def _sent_field(self, field: FieldDescriptor) -> Schema:
        schema = self._sent_value(field)
        if not rules.is_required(field):
            schema = _or_null(schema)
        return _described(schema, field)

    def _sent_value(self, field: FieldDescriptor) -> Schema:
        if field.message_type is None:
            schema = self._words(field) or rules.scalar(field)
            if schema.get("type") == "string":
                _refuse_control_characters(schema)
            if field.GetOptions().debug_redact:
                schema["format"] = "password"
            return rules.many(field, schema) if field.is_repeated else schema
        if field.message_type.full_name == _FIELD_MASK:
            return rules.field_mask(field)
        message = field.message_type
        if message.GetOptions().map_entry:
            return rules.mapped(field, self._sent_value(message.fields_by_name["value"]))
        name = message.name + ("Input" if message.full_name in self._got else "")
        if self._claim(name, message):
            self.components[name] = self._sent_object(message, list(message.fields))
        return rules.many(field, reference(name)) if field.is_repeated else reference(name)

    def _got_field(self, field: FieldDescriptor) -> Schema:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            values = self._got_value(message.fields_by_name["value"])
            return _described({"type": "object", "additionalProperties": values}, field)
        schema = self._got_value(field)
        return _described(rules.many(field, schema) if field.is_repeated else schema, field)

    def _got_value(self, field: FieldDescriptor) -> Schema:
        if field.message_type is None:
            return self._words(field) or rules.scalar(field)
        if field.message_type.full_name == _TIMESTAMP:
            return {"type": "string", "format": "date-time"}
        return self.bare(field.message_type)

    def _words(self, field: FieldDescriptor) -> Schema | None:
        """A reference to the closed list that a string is restricted to."""
        enum = rules.words_of(field)
        if enum is None:
            return None
        if self._claim(enum.name, enum):
            said = [contract.comment(enum.full_name)]
            for word, value in zip(words(enum), enum.values[1:], strict=True):
                said.append(f"- `{word}`: {contract.comment(f'{enum.file.package}.{value.name}')}")
            description = "\n".join([said[0], "", *said[1:]])
            self.components[enum.name] = {
                "type": "string",
                "description": description,
                "enum": list(words(enum)),
            }
            self._lists.append(enum)
        return reference(enum.name)

    def _gather(self, message: Descriptor) -> None:
        if message.full_name not in self._got:
            self._got.add(message.full_name)
            for field in message.fields:
                if field.message_type is not None:
                    self._gather(field.message_type)

    def _claim(self, name: str, message: Descriptor | EnumDescriptor) -> bool:
        """Whether the name is new; its place is taken, so that schemas keep the order they are met in."""
        known = self._messages.setdefault(name, message.full_name)
        if known != message.full_name:
            raise ValueError(f"{known} and {message.full_name} cannot both be called {name}")
        if name in self.components:
            return False
        self.components[name] = {}
        return True


def _is_always_there(field: FieldDescriptor) -> bool:
    return not field.has_presence or rules.rules_of(field).required


def _one_of(message: Descriptor) -> Schema:
    """That just one field of each oneof is there."""
    chosen = [one for one in message.oneofs if len(one.fields) > 1]
    each = [{"oneOf": [{"required": [field.json_name]} for field in one.fields]} for one in chosen]
    if not each:
        return {}
    return object_rule(each[0] if len(each) == 1 else {"allOf": each})


def _refuse_control_characters(schema: Schema) -> None:
    if schema.get("format") != "date" and "pattern" not in schema:
        schema["pattern"] = NO_CONTROL_CHARACTERS


def _or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def _described(schema: Schema, field: FieldDescriptor) -> Schema:
    return schema | {"description": contract.comment(field.full_name)}


def object_rule(rule: Schema) -> Schema:
    """A rule for an object, beside its type.

    A condition is for validators alone. Of a `oneOf` or `allOf` in its place, generated clients make types of
    their own, which lose what the object has itself.
    """
    return {"if": {"type": "object"}, "then": rule}


def reference(name: str) -> Schema:
    """To a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}
