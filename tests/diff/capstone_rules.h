static bool rule_explains(const struct view *v)
{
    return false;
}
