namespace Quadwalk.GuestMemory;

/// <summary>How a dirty log by bitmap goes (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2).</summary>
[Flags]
public enum DirtyLogModes
{
    /// <summary>Giving the bitmap out clears it and protects the pages again.</summary>
    None = 0,

    /// <summary>KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE: giving it out changes nothing; KVM_CLEAR_DIRTY_LOG clears and protects.</summary>
    ManualProtect = 1 << 0,

    /// <summary>KVM_DIRTY_LOG_INITIALLY_SET: all pages count as written when a log begins, so that nothing is protected before its first clearing.</summary>
    InitiallySet = 1 << 1,
}
