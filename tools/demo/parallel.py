"""Training in several processes of one thread each: small matrices gain little from more threads in one process.

Every process draws the same batch from the same seed and works on its own share of it; gradients are averaged.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable

import torch
import torch.distributed
import torch.multiprocessing


def in_processes(world: int, work: Callable[[], None]) -> None:
    """Run `work`, a picklable function without arguments, in `world` processes that share gradients; wait for them."""
    if world == 1:
        work()
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_join, args=(world, port, work), nprocs=world)


def share() -> tuple[int, int]:
    """Return this process's number and how many there are."""
    if torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes; a parameter without one counts as zero."""
    rank_count = share()[1]
    if rank_count == 1:
        return
    parameters = list(parameters)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([p.grad.reshape(-1) for p in parameters if p.grad is not None])
    torch.distributed.all_reduce(flat)
    flat /= rank_count
    at = 0
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad.copy_(flat[at : at + parameter.numel()].view_as(parameter))
        at += parameter.numel()


def _join(rank: int, world: int, port: int, work: Callable[[], None]) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    work()
    torch.distributed.destroy_process_group()
