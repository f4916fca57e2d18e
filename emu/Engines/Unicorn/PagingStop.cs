using Quadwalk.GuestMemory;
using Unicorn.Net;

namespace Quadwalk.Emulation;

/// <summary>How a run of <see cref="QuadwalkPaging"/> ended.</summary>
/// <param name="Error">What Unicorn said; <see cref="UnicornError.Exception"/> where there is a fault.</param>
/// <param name="Fault">The fault that the guest would have been given; null where there was none.</param>
/// <param name="Cause">The fault's cause in a sentence; null where there was none.</param>
/// <param name="Rip">Where the instance stands: at the instruction that faulted, or at the end.</param>
public sealed record PagingStop(UnicornError Error, GuestFault? Fault, string? Cause, Gva Rip);
