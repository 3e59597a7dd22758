"""Graphs of strangers are refused in one line before any runtime sees them; those of exporters are taken."""

import random

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_graphs import changed, constant, graph_of, network, node, port

from smalti.errors import ReadError
from smalti.runtime import graph as graph_module
from smalti.runtime.graph import check_graph

IMAGE = [port("x", [1, 3, "h", "w"])]
OUT = [port("y", [None] * 4)]
HUGE = constant("huge", [2**20, 2**20], np.int64)


def one(*nodes, constants=(), **options):
    return graph_of(nodes, IMAGE, OUT, constants, **options)


def refused(content):
    with pytest.raises(ReadError) as error:
        check_graph(content)
    message = str(error.value)
    assert message.isprintable() and len(message) < 400
    return message


def filling(shape):
    """A large constant of that shape, of which one number is used."""
    return [node("ConstantOfShape", shape, "filled"), node("ReduceMax", "filled", "top", keepdims=0)]


class TestWhatIsTaken:
    def test_the_summary_says_what_goes_in_and_comes_out(self):
        summary = check_graph(network(planes=4))
        assert [(each.name, each.dtype, each.dims) for each in summary.inputs] == [
            ("image", "float32", ("b", 3, "h", "w"))
        ]
        assert [each.name for each in summary.outputs] == ["planes"]
        assert summary.outputs[0].dims == (None,) * 4
        assert summary.opset == 17
        assert summary.parameters == 6 * 3 * 9 + 4 * 6 + 4
        assert summary.ops == {"Conv": 2, "Relu": 1, "Identity": 1}

    def test_weights_among_the_inputs_are_no_inputs(self):
        content = changed(network(), lambda model: model.graph.input.append(port("bias", [3])))
        assert [each.name for each in check_graph(content).inputs] == ["image"]

    def test_branches_functions_and_quantised_operators_are_taken(self):
        branches = {
            f"{which}_branch": helper.make_graph(
                [node("Relu", "x", which)], which, [], [port(which, [None] * 4)]
            )
            for which in ("then", "else")
        }
        choice = one(node("If", "yes", "y", **branches), constants=[constant("yes", True, bool)])
        assert check_graph(choice).ops == {"If": 1, "Relu": 2}
        body = [node("Relu", "a", "b")]
        function = helper.make_function("own", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
        content = one(
            helper.make_node("Twice", ["x"], ["y"], domain="own"), functions=[function], domains=["own"]
        )
        assert check_graph(content).ops == {"Twice": 1, "Relu": 1}
        quantised = helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
        assert check_graph(one(quantised, domains=["com.microsoft"])).ops == {"Gelu": 1}


class TestWhatIsRefused:
    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x08\x09", bytes(300), b"\xff" * 50])
    def test_what_is_no_graph(self, content):
        refused(content)

    def test_a_graph_cut_short_anywhere(self):
        content = network()
        for length in range(0, len(content) - 1, 7):
            refused(content[:length])

    def test_damage_anywhere_is_told_or_harmless(self):
        content, rng = network(), random.Random(0)
        for _ in range(150):
            hurt = bytearray(content)
            for _ in range(rng.randint(1, 4)):
                hurt[rng.randrange(len(hurt))] = rng.randrange(256)
            try:
                check_graph(bytes(hurt))
            except ReadError as error:
                assert str(error).isprintable()

    def test_too_many_bytes(self, monkeypatch):
        monkeypatch.setattr(graph_module, "MAX_BYTES", 100)
        assert "more than 100" in refused(network())

    @pytest.mark.parametrize("where", ["initializer", "attribute", "branch", "function", "sparse"])
    def test_numbers_in_other_files(self, where, tmp_path):
        tensor = constant("bias", [1, 2, 3])
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        holder = helper.make_node("Constant", [], ["k"], value=tensor)
        add = node("Add", "x k", "y")
        if where == "initializer":
            tensor.name = "k"
            content = one(add, constants=[tensor])
        elif where == "attribute":
            content = one(holder, add)
        elif where == "branch":
            branch = helper.make_graph([holder, node("Identity", "k", "r")], "b", [], [port("r", [3])])
            both = {"then_branch": branch, "else_branch": branch}
            yes = constant("yes", True, bool)
            content = one(node("If", "yes", "q", **both), node("Add", "x q", "y"), constants=[yes])
        elif where == "function":
            body = [holder, node("Add", "a k", "b")]
            function = helper.make_function("own", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
            call = helper.make_node("F", ["x"], ["y"], domain="own")
            content = one(call, functions=[function], domains=["own"])
        else:
            content = one(node("Relu", "x", "y"))

            def add_sparse(model):
                sparse = model.graph.sparse_initializer.add()
                sparse.values.CopyFrom(tensor)

            content = changed(content, add_sparse)
        assert "another file" in refused(content)

    @pytest.mark.parametrize(
        "change",
        [
            lambda tensor: tensor.dims.append(2),
            lambda tensor: tensor.dims.__setitem__(0, 2**40),
            lambda tensor: tensor.dims.__setitem__(0, -1),
            lambda tensor: setattr(tensor, "raw_data", b"\0" * 5),
            lambda tensor: (tensor.ClearField("raw_data"), tensor.float_data.append(1.0)),
            lambda tensor: setattr(tensor, "data_type", TensorProto.STRING),
            lambda tensor: setattr(tensor, "data_type", 99),
        ],
    )
    def test_tensors_whose_numbers_do_not_fill_their_shape(self, change):
        refused(changed(network(), lambda model: change(model.graph.initializer[2])))

    @pytest.mark.parametrize("domain", ["ai.onnx.ml", "com.microsoft", "evil", "ai.onnx.contrib"])
    def test_operators_of_others(self, domain):
        operator = helper.make_node("EPContext", ["x"], ["y"], domain=domain)
        assert "EPContext" in refused(one(operator, domains=[domain]))

    def test_loops(self):
        body = helper.make_graph(
            [node("Identity", "go", "on"), node("Identity", "v", "w")],
            "body",
            [port("i", [], TensorProto.INT64), port("go", [], TensorProto.BOOL), port("v", [None] * 4)],
            [port("on", [], TensorProto.BOOL), port("w", [None] * 4)],
        )
        loop = helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)
        assert "without end" in refused(one(loop, constants=[constant("yes", True, bool)]))

    def test_graphs_nested_deep(self):
        inner = helper.make_graph([node("Relu", "x", "r")], "g", [], [port("r", [None] * 4)])
        for _ in range(6):
            choice = node("If", "yes", "r", then_branch=inner, else_branch=inner)
            inner = helper.make_graph([choice], "g", [], [port("r", [None] * 4)])
        content = one(
            node("If", "yes", "y", then_branch=inner, else_branch=inner),
            constants=[constant("yes", True, bool)],
        )
        assert "deeper" in refused(content)

    def test_nesting_that_would_overflow_the_stack(self):
        inner = helper.make_graph(
            [node("Relu", "x", "r")], "g", [], [port("r", [None] * 4)]
        ).SerializeToString()

        def field(number, content):
            size, head = len(content), bytearray()
            while size > 127:
                head.append(size & 127 | 128)
                size >>= 7
            return bytes([number << 3 | 2, *head, size]) + content

        for _ in range(2000):  # attribute.g, node.attribute, graph.node
            inner = field(1, field(5, field(6, inner)))
        refused(b"\x08\x09" + field(7, inner))

    @pytest.mark.parametrize("depth", [20, 40])
    def test_functions_that_grow_when_written_out(self, depth):
        functions = []
        for level in range(depth):
            called = f"F{level + 1}" if level + 1 < depth else "Relu"
            domain = "own" if level + 1 < depth else ""
            body = [helper.make_node(called, [a], [b], domain=domain) for a, b in [("a", "m"), ("m", "b")]]
            opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
            functions.append(helper.make_function("own", f"F{level}", ["a"], ["b"], body, opsets))
        call = helper.make_node("F0", ["x"], ["y"], domain="own")
        assert "more than" in refused(one(call, functions=functions, domains=["own"]))

    def test_functions_that_call_each_other_in_a_circle(self):
        body = [helper.make_node("F", ["a"], ["b"], domain="own")]
        function = helper.make_function("own", "F", ["a"], ["b"], body, [helper.make_opsetid("own", 1)])
        call = helper.make_node("F", ["x"], ["y"], domain="own")
        assert "circle" in refused(one(call, functions=[function], domains=["own"]))

    def test_a_graph_that_the_checker_finds_wrong(self):
        assert "not valid" in refused(one(node("Relu", "nothing", "y")))


class TestMemory:
    def test_a_huge_constant(self):
        assert "1048576" in refused(one(*filling("huge"), node("Add", "x top", "y"), constants=[HUGE]))

    def test_a_huge_constant_from_arithmetic_of_shapes(self):
        part = constant("part", [2**10, 2**10], np.int64)
        nodes = [node("Mul", "part part", "both"), *filling("both"), node("Add", "x top", "y")]
        refused(one(*nodes, constants=[part]))

    def test_a_huge_constant_in_a_function(self):
        body = [*filling("s"), node("Add", "a top", "b")]
        function = helper.make_function("own", "F", ["a", "s"], ["b"], body, [helper.make_opsetid("", 17)])
        call = helper.make_node("F", ["x", "huge"], ["y"], domain="own")
        refused(one(call, constants=[HUGE], functions=[function], domains=["own"]))

    def test_a_huge_constant_in_a_branch(self):
        branch = helper.make_graph(filling("huge"), "b", [], [port("top", [])])
        choice = node("If", "yes", "q", then_branch=branch, else_branch=branch)
        content = one(choice, node("Add", "x q", "y"), constants=[HUGE, constant("yes", True, bool)])
        assert "branch" in refused(content)

    def test_many_constants_of_which_each_is_not_too_large(self):
        size = constant("size", [2**14, 2**14], np.int64)
        nodes = []
        for number in range(5):
            nodes += [
                node("ConstantOfShape", "size", f"c{number}"),
                node("ReduceMax", f"c{number}", f"t{number}", keepdims=0),
            ]
        nodes.append(node("Sum", "x t0 t1 t2 t3 t4", "y"))
        assert "would make" in refused(one(*nodes, constants=[size]))

    @pytest.mark.parametrize(
        ("made", "constants"),
        [
            ([node("Expand", "x huge4", "e")], [constant("huge4", [2**20, 3, 1, 1], np.int64)]),
            ([node("Tile", "x often", "e")], [constant("often", [1, 1, 400, 400], np.int64)]),
            (
                [helper.make_node("Resize", ["x", "", "scales"], ["e"])],
                [constant("scales", [1, 1, 500, 500])],
            ),
            (
                [node("ConvTranspose", "x kernel", "e", strides=[300, 300])],
                [constant("kernel", np.ones((3, 1, 1, 1)))],
            ),
        ],
    )
    def test_an_image_made_huge(self, made, constants):
        refused(one(*made, node("GlobalMaxPool", "e", "y"), constants=constants))

    def test_an_input_of_a_huge_size(self):
        refused(graph_of([node("Relu", "x", "y")], [port("x", [1, 3, 10**5, 10**5])], OUT))

    def test_what_is_said_of_sizes_is_not_believed(self):
        content = one(*filling("huge"), node("Add", "x top", "y"), constants=[HUGE])
        refused(changed(content, lambda model: model.graph.value_info.append(port("filled", [2, 2]))))
