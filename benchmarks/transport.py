"""Quantum transport against Kwant: `python -m benchmarks.transport [PART ...] [--quick]`.

Parts: agreement (PLDOS, r and t of the exact solver and of each accuracy), speed (one
core), cores (all against one), map (a first-order scanning-gate map against a PLDOS),
tips (first order against exact, by the tip's height), memory (many batches of 64), curves
(cost against width and length; writes docs/figures/transport_cost.png) and, where asked
for by name, cuda (samples per second of the PyTorch engine on a graphics card).

Kwant runs by its own Python, named by INMATERIA_KWANT_PYTHON (docs/kwant.md), as fast as
its solver goes: one factorisation a sample in MUMPS's fastest order, the system built and
the modes found beforehand (benchmarks/kwant_peer.py); and once as its manual has it, by
`kwant.wave_function` and `kwant.smatrix` of a builder. Both programs take turns on one
core, and a ratio is the median over rounds. The geometry is that of Percebois & Weinmann.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "transport_cost.png"
PEER = Path(__file__).with_name("kwant_peer.py")
COLOURS = ("#888888", "#d95f02", "#1b6ca8")
ACCURACIES = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)


def row(what: str, *values: str) -> None:
    """One line of a table."""
    print(f"{what:44s}" + "".join(f"{v:>16s}" for v in values), flush=True)


def potentials(gas: Any, number: int, start: int = 0) -> np.ndarray:
    """Remote dopants at 50 nm, 1e12/cm^2, in meV."""
    from inmateria import RemoteDopants

    drawn = RemoteDopants().sample_many(gas, number, seed=0, start=start)
    return np.asarray(drawn.potential)


def kwant(
    gas: Any, potential_mev: np.ndarray, repeat: int = 1, *, plain: bool = False
) -> dict[str, np.ndarray]:
    """Kwant's answers and times, as `kwant_peer.py` documents them."""
    request = {
        "n_x": gas.n_x,
        "n_y": gas.n_y,
        "left_first_row": gas.source.first_row,
        "left_rows": gas.source.n_rows,
        "right_first_row": gas.drain.first_row,
        "right_rows": gas.drain.n_rows,
        "potential_t": potential_mev / gas.hopping_mev,
        "energy_t": [gas.fermi_mev / gas.hopping_mev],
        "flux": 0.0,
        "repeat": repeat,
        "plain": plain,
    }
    python = os.environ.get("INMATERIA_KWANT_PYTHON")
    if not python:
        sys.exit("INMATERIA_KWANT_PYTHON is not set: docs/kwant.md says how to install Kwant")
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "request.npz", Path(folder) / "answer.npz"
        np.savez(asked, **{name: np.asarray(value) for name, value in request.items()})
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["OMP_NUM_THREADS"] = "1"
        subprocess.run([python, PEER, asked, answered], env=environment, check=True)
        with np.load(answered) as file:
            return {name: file[name] for name in file.files}


def seconds(action: Callable[[], object]) -> float:
    """CPU time of this process, s."""
    began = time.process_time()
    action()
    return time.process_time() - began


def agreement(quick: bool) -> None:
    """Largest difference from Kwant, relative to the maximum PLDOS."""
    from inmateria import ElectronGas

    gas = ElectronGas()
    potential = potentials(gas, 2 if quick else 10)
    peer = kwant(gas, potential)
    print("\nAgreement with Kwant: largest over samples; PLDOS relative to its maximum")
    row("", "PLDOS", "estimated", "r", "t", "T")
    for name, options in [
        ("all modes, exact", {"modes": gas.n_y, "accuracy": 1e-9}),
        *((f"accuracy {a:g}", {"accuracy": a}) for a in ACCURACIES),
    ]:
        found = gas.scatter(potential, **options)
        reference = peer["pldos_left"][:, 0]
        error = np.abs(found.pldos - reference).max((1, 2)) / reference.max((1, 2))
        r, t = in_kwants_phases(gas, found, peer)
        row(
            name,
            f"{error.max():.1e}",
            f"{found.error.max():.1e}",
            f"{np.abs(r - peer['r'][:, 0]).max():.1e}",
            f"{np.abs(t - peer['t'][:, 0]).max():.1e}",
            f"{np.abs(found.transmission - peer['transmission'][:, 0]).max():.1e}",
        )


def in_kwants_phases(
    gas: Any, found: Any, peer: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Our r and t between Kwant's modes, whose phases are its own."""
    from inmateria.transport.strip import transverse_modes

    phases = []
    for lead, waves in ((gas.source, peer["left_in"][0]), (gas.drain, peer["right_in"][0])):
        modes = gas.modes(lead)
        chi = transverse_modes(lead.n_rows)[:, : modes.n_open]
        phases.append(np.sqrt(modes.velocity) * (chi * waves).sum(axis=0))
    own, other = phases
    return own[:, None] * found.r * own, other[:, None] * found.t * own


def speed(quick: bool) -> None:
    """CPU time of a sample on one core, and how often Kwant's that is."""
    import numba

    from inmateria import ElectronGas

    numba.set_num_threads(1)
    gas = ElectronGas()
    rounds, few, many = (1, 1, 4) if quick else (5, 3, 20)
    potential = potentials(gas, many)
    kinds = {f"accuracy {a:g}": {"accuracy": a} for a in ACCURACIES}
    kinds["all modes"] = {"modes": gas.n_y, "accuracy": 1e-9}
    for options in kinds.values():
        gas.scatter(potential[:1], **options)
    ours: dict[str, list[float]] = {name: [] for name in kinds}
    theirs: dict[str, list[float]] = {"fast": [], "r and t only": [], "plain": []}
    for _ in range(rounds):
        peer = kwant(gas, potential[:few])
        theirs["fast"].append(float(peer["cpu_s"].mean()))
        theirs["r and t only"].append(float(peer["cpu_s_smatrix"].mean()))
        by_the_manual = kwant(gas, potential[:1], plain=True)["cpu_s_plain"]
        theirs["plain"].append(float(by_the_manual.mean()))
        for name, options in kinds.items():
            batch = potential if name != "all modes" else potential[:few]
            spent = seconds(lambda b=batch, o=options: gas.scatter(b, **o))  # type: ignore[misc]
            ours[name].append(spent / len(batch))
    print("\nOne core: CPU seconds a sample, and times Kwant's speed (median of rounds)")
    row("", "s", "x Kwant", "slowest", "fastest", "x its manual")
    row("Kwant, PLDOS, r and t at once", f"{np.median(theirs['fast']):.4f}", "1")
    row("Kwant, kwant.smatrix alone", f"{np.median(theirs['r and t only']):.4f}")
    row("Kwant, as its manual has it", f"{np.median(theirs['plain']):.4f}", *["", "", ""], "1")
    for name, spent_list in ours.items():
        ratio = np.array(theirs["fast"]) / np.array(spent_list)
        row(
            name,
            f"{np.median(spent_list):.4f}",
            f"{np.median(ratio):.1f}",
            f"{ratio.min():.1f}",
            f"{ratio.max():.1f}",
            f"{np.median(np.array(theirs['plain']) / np.array(spent_list)):.1f}",
        )


def cores(quick: bool) -> None:
    """Samples per second of wall time on one core and on all."""
    import numba

    from inmateria import ElectronGas

    gas, available = ElectronGas(), numba.config.NUMBA_NUM_THREADS
    potential = potentials(gas, 4 if quick else 60)
    print(f"\n{available} cores against one: samples per second (best of rounds)")
    row("", "one", f"{available}", "ratio")
    for accuracy in (1e-3, 1e-6):
        best = {}
        for _ in range(1 if quick else 5):
            for threads in (1, available):
                numba.set_num_threads(threads)
                gas.scatter(potential[:2], accuracy=accuracy)
                began = time.perf_counter()
                gas.scatter(potential, accuracy=accuracy)
                rate = len(potential) / (time.perf_counter() - began)
                best[threads] = max(best.get(threads, 0.0), rate)
        ratio = best[available] / best[1]
        row(f"accuracy {accuracy:g}", f"{best[1]:.1f}", f"{best[available]:.1f}", f"{ratio:.2f}")


def map_(quick: bool) -> None:
    """A first-order scanning-gate map of all positions against one PLDOS; exact positions."""
    import numba

    from inmateria import ElectronGas
    from inmateria.transport.tip import Tip

    numba.set_num_threads(1)
    gas = ElectronGas()
    potential = potentials(gas, 2 if quick else 10)
    tip = Tip(height_mev=0.04 * gas.fermi_mev, width_nm=25.0)
    gas.sgm(potential[0], tip, accuracy=1e-3)
    pldos, both = [], []
    for _ in range(1 if quick else 5):
        pldos.append(seconds(lambda: gas.scatter(potential, accuracy=1e-3)) / len(potential))
        both.append(seconds(lambda: gas.sgm(potential, tip, accuracy=1e-3)) / len(potential))
    stride = 32 if quick else 8
    strong = Tip(height_mev=1.5 * gas.fermi_mev, width_nm=25.0)
    spent = seconds(lambda: gas.sgm(potential[0], strong, method="exact", stride=stride))
    positions = -(-gas.n_x // stride) * -(-gas.n_y // stride)
    print(f"\nScanning-gate maps, accuracy 1e-3, one core, {gas.n_x * gas.n_y} tip positions")
    row("PLDOS", f"{np.median(pldos) * 1e3:.1f} ms")
    ratio = np.median(np.array(both) / np.array(pldos))
    row("PLDOS and first-order map", f"{np.median(both) * 1e3:.1f} ms", f"x {ratio:.2f}")
    row(f"strong tip, {positions} positions, each", f"{spent / positions * 1e3:.2f} ms")


def tips(quick: bool) -> None:
    """First order against exact, by the tip's height."""
    from inmateria import ElectronGas
    from inmateria.transport.tip import Tip

    gas, stride = ElectronGas(), 32 if quick else 8
    potential = potentials(gas, 1)[0]
    print("\nFirst-order scanning-gate maps against exact ones, changes of T, tip of 25 nm")
    row("tip, of the Fermi energy", "rms change", "off, rms", "off, largest", "its estimate")
    for height in (0.01, 0.04, 0.1, 0.2, 0.5, 1.5):
        tip = Tip(height_mev=height * gas.fermi_mev, width_nm=25.0)
        weak = gas.sgm(potential, tip, stride=stride)
        exact = gas.sgm(potential, tip, method="exact", stride=stride)
        off = weak.change - exact.change
        scale = np.sqrt((exact.change**2).mean())
        row(
            f"{height:g}",
            f"{scale:.1e}",
            f"{np.sqrt((off**2).mean()) / scale:.0%}",
            f"{np.abs(off).max():.1e}",
            f"{float(weak.error):.1e}",
        )


def memory(quick: bool) -> None:
    """Resident memory while batches of 64 are solved and thrown away."""
    from inmateria import ElectronGas

    gas = ElectronGas()
    potential = potentials(gas, 8 if quick else 64)
    print(f"\nMemory, batches of {len(potential)}: results alone are "
          f"{potential.nbytes / 2**20:.0f} MiB")  # fmt: skip
    row("batches done", "resident", "peak")
    for batch in range(1 if quick else 6):
        gas.scatter(potential, accuracy=1e-3)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row(
            str(batch + 1),
            f"{pages * resource.getpagesize() / 2**20:.0f} MiB",
            f"{peak:.0f} MiB",
        )


def curves(quick: bool) -> None:
    """Cost against width and length, beside Kwant's."""
    import numba

    from inmateria import ElectronGas, Lead

    numba.set_num_threads(1)
    widths = (48, 96) if quick else (48, 96, 144, 192, 256, 384)
    lengths = (64, 128) if quick else (64, 128, 256, 512, 768)
    found: dict[str, list[tuple[int, ...] | tuple[float, ...]]] = {}
    for name, sizes in (("width", widths), ("length", lengths)):
        print(f"\nCost against {name}: CPU seconds a sample, one core")
        row("sites", "Kwant", "1e-6", "1e-3", "Kwant / 1e-3")
        found[name] = []
        for size in sizes:
            n_x, n_y = (256, size) if name == "width" else (size, 192)
            gas = ElectronGas(
                n_x=n_x, n_y=n_y, source=Lead((n_y - 20) // 2, 20), drain=Lead(0, n_y)
            )
            potential = potentials(gas, 4)
            peer = float(kwant(gas, potential[:2], repeat=2)["cpu_s"].mean())
            spent = []
            for accuracy in (1e-6, 1e-3):
                gas.scatter(potential[0], accuracy=accuracy)
                times = [
                    seconds(lambda a=accuracy, v=potential, g=gas: g.scatter(v, accuracy=a)) / 4  # type: ignore[misc]
                    for _ in range(3)
                ]
                spent.append(min(times))
            found[name].append((size, peer, *spent))
            row(str(size), *(f"{s:.4f}" for s in (peer, *spent)), f"{peer / spent[-1]:.1f}")
    if not quick:
        draw(found)


def draw(found: dict[str, Any]) -> None:
    """The curves as a figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True, layout="constrained")
    labels = ("Kwant 1.5, MUMPS", "inmateria, 1e-6", "inmateria, 1e-3")
    for panel, (name, rows) in zip(panels, found.items(), strict=True):
        table = np.array(rows, dtype=float)
        for k, (label, colour) in enumerate(zip(labels, COLOURS, strict=True)):
            panel.loglog(table[:, 0], table[:, 1 + k], "o-", color=colour, label=label)
        ticks = [int(size) for size in table[:, 0]]
        panel.set_xticks(ticks, [str(size) for size in ticks])
        panel.minorticks_off()
        fixed = "256 sites long" if name == "width" else "192 sites wide"
        panel.set_xlabel(f"{name} in sites ({fixed})")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("CPU seconds a sample, one core")
    panels[0].legend(frameon=False)
    figure.savefig(FIGURE, dpi=130)
    print(f"figure: {FIGURE}")


def cuda(quick: bool) -> None:
    """Samples per second on a graphics card: all modes and 80, double and single precision."""
    import torch

    from inmateria import ElectronGas
    from inmateria.transport.torch_sweep import sweep_states

    if not torch.cuda.is_available():
        print("\ncuda: no graphics card, not run")
        return
    gas = ElectronGas()
    energy = gas.fermi_mev / gas.hopping_mev
    potential = torch.as_tensor(potentials(gas, 16 if quick else 512) / gas.hopping_mev)
    few = gas.scatter(potential[:8].numpy() * gas.hopping_mev, accuracy=1e-8).pldos
    print(f"\n{torch.cuda.get_device_name()}: PLDOS, error over its maximum, samples per second")
    row("", "error", "samples/s")
    batch = potential.cuda()
    for modes, dtype in (
        (None, torch.complex128),
        (80, torch.complex128),
        (80, torch.complex64),
        (64, torch.complex64),
    ):
        options: dict[str, Any] = {"energy_t": energy, "modes": modes, "dtype": dtype}
        states = sweep_states(gas, batch[:8], device="cuda", **options)
        error = np.abs(states.pldos.cpu().numpy() - few).max((1, 2)) / few.max((1, 2))
        rates = []
        for _ in range(3):
            torch.cuda.synchronize()
            began = time.perf_counter()
            sweep_states(gas, batch, device="cuda", **options).pldos.sum().item()
            rates.append(len(batch) / (time.perf_counter() - began))
        name = f"{modes or gas.n_y} modes, {str(dtype).removeprefix('torch.')}"
        row(name, f"{error.max():.1e}", f"{max(rates):.0f}")


PARTS = {
    "agreement": agreement,
    "speed": speed,
    "cores": cores,
    "map": map_,
    "tips": tips,
    "memory": memory,
    "curves": curves,
    "cuda": cuda,
}


def main(arguments: list[str]) -> None:
    """Run the parts that are named, or all but cuda."""
    quick = "--quick" in arguments
    asked = [a for a in arguments if a != "--quick"]
    unknown = [a for a in asked if a not in PARTS]
    if unknown:
        sys.exit(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name in asked or [part for part in PARTS if part != "cuda"]:
        PARTS[name](quick)


if __name__ == "__main__":
    main(sys.argv[1:])
