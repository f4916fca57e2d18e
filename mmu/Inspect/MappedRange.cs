namespace Quadwalk.Mmu;

/// <summary>Neighbouring pages with the same rights.</summary>
/// <param name="Addresses">Where they are mapped.</param>
/// <param name="Rights">U/S, R/W and NX combined over all levels; no other flags.</param>
/// <param name="IsScanned">
/// False for addresses whose tables were not looked at because there are more than <see cref="AddressSpaceMap.MostTables"/>: what is mapped there is not known.
/// </param>
public readonly record struct MappedRange(GvaRange Addresses, PageRights Rights, bool IsScanned = true);
