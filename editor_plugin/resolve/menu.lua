-- Dubwright's entry in Workspace > Scripts, where only Lua is listed (the free edition from 21.1 on).
--
-- It starts Dubwright's window, which is Python, and does in Resolve what the window asks for: the window writes
-- `call-N.json` into a folder of its own, this answers with `answer-N.json`. It ends with the window.

local PYTHON, MODE = "@PYTHON@", "@MODE@"
local BUSY_S, IDLE_S = 0.005, 0.05 -- between two looks into the folder, just after a call and later
local QUIET_LOOKS = 1200 -- idle looks, about a minute, after which the window is gone

local objects, count = {}, 0

-- JSON, as far as the two sides use it.

local encode

local function keep(object)
    count = count + 1
    objects[count] = object
    return '{"$":' .. count .. "}"
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
    return '"' .. text:gsub('[%c"\\]', function(letter)
        return ESCAPES[letter] or string.format("\\u%04x", letter:byte())
    end) .. '"'
end

local function is_object(value)
    return type(value) == "userdata" or (type(value) == "table" and getmetatable(value) ~= nil)
end

-- A table is a list of its pairs: Lua does not tell an empty list from an empty map.
function encode(value)
    local kind = type(value)
    if is_object(value) then
        return keep(value)
    elseif kind == "table" then
        local pairs_of = {}
        for name, one in pairs(value) do
            pairs_of[#pairs_of + 1] = "[" .. encode(name) .. "," .. encode(one) .. "]"
        end
        return '{"table":[' .. table.concat(pairs_of, ",") .. "]}"
    elseif kind == "number" then
        return value == math.floor(value) and string.format("%.0f", value) or string.format("%.17g", value)
    elseif kind == "string" then
        return quote(value)
    elseif kind == "boolean" then
        return tostring(value)
    end
    return "null"
end

local function decode(text)
    local at = 1
    local value

    local function skip()
        at = text:find("%S", at) or #text + 1
    end

    local function string_at()
        local parts, begin = {}, at + 1
        while true do
            local stop = text:find('["\\]', begin)
            parts[#parts + 1] = text:sub(begin, stop - 1)
            if text:sub(stop, stop) == '"' then
                at = stop + 1
                return table.concat(parts)
            end
            local letter = text:sub(stop + 1, stop + 1)
            begin = stop + 2
            if letter == "u" then
                parts[#parts + 1] = string.char(tonumber(text:sub(begin, begin + 3), 16) % 256)
                begin = begin + 4
            else
                parts[#parts + 1] = ({ n = "\n", r = "\r", t = "\t", b = "\b", f = "\f" })[letter] or letter
            end
        end
    end

    local function list_at(close, take)
        at = at + 1
        skip()
        while text:sub(at, at) ~= close do
            take()
            skip()
            if text:sub(at, at) == "," then
                at = at + 1
                skip()
            end
        end
        at = at + 1
    end

    function value()
        skip()
        local letter = text:sub(at, at)
        if letter == '"' then
            return string_at()
        elseif letter == "[" then
            local found = {}
            list_at("]", function() found[#found + 1] = value() end)
            return found
        elseif letter == "{" then
            local found = {}
            list_at("}", function()
                local name = string_at()
                skip()
                at = at + 1 -- the colon
                found[name] = value()
            end)
            if found["$"] then
                return objects[found["$"]]
            end
            return found
        end
        local word = text:match("^[%w%.%+%-]+", at)
        at = at + #word
        if word == "true" or word == "false" then
            return word == "true"
        end
        return tonumber(word) -- nil for null
    end

    return value()
end

-- What reading a track needs of each item, in one answer instead of a dozen.

local FACTS = {
    { "GetStart", false }, { "GetEnd", false }, { "GetDuration", false }, { "GetLeftOffset", false },
    { "GetUniqueId" }, { "GetSourceStartFrame" }, { "GetSourceEndFrame" }, { "GetMediaPoolItem" },
}
local MEDIA_FACTS = { "File Path", "FPS", "Frames" }

local function fact(object, name, argument)
    local worked, found = pcall(function()
        if argument == nil then
            return object[name](object)
        end
        return object[name](object, argument)
    end)
    local arguments = argument == nil and "[]" or "[" .. encode(argument) .. "]"
    local text, media = worked and encode(found) or "null", nil
    if worked and name == "GetMediaPoolItem" and found ~= nil then
        local known = {}
        for _, property in ipairs(MEDIA_FACTS) do
            known[#known + 1] = fact(found, "GetClipProperty", property)
        end
        media = "[" .. table.concat(known, ",") .. "]"
    end
    return "[" .. quote(name) .. "," .. arguments .. "," .. text .. (media and "," .. media or "") .. "]"
end

local function items_with_facts(items)
    local found = {}
    for _, item in ipairs(items or {}) do
        local known = {}
        for _, one in ipairs(FACTS) do
            known[#known + 1] = fact(item, one[1], one[2])
        end
        found[#found + 1] = "[" .. keep(item) .. ",[" .. table.concat(known, ",") .. "]]"
    end
    return '{"items":[' .. table.concat(found, ",") .. "]}"
end

-- Calls.

local function answer_to(call)
    for _, number in ipairs(call.free or {}) do
        objects[number] = nil
    end
    local object = call.object
    if call.method == "dir" then
        local there = {}
        for _, name in ipairs(call.arguments) do
            local worked, method = pcall(function() return object[name] end)
            if worked and method ~= nil then
                there[#there + 1] = name
            end
        end
        return '{"value":' .. encode(there) .. "}"
    end
    local worked, found = pcall(function()
        return object[call.method](object, unpack(call.arguments, 1, call.count))
    end)
    if not worked then
        return '{"error":' .. quote(tostring(found)) .. "}"
    elseif call.method == "GetItemListInTrack" then
        return '{"value":' .. items_with_facts(found) .. "}"
    end
    return '{"value":' .. encode(found) .. "}"
end

local function read(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local text = file:read("*a")
    file:close()
    return text
end

local function write(path, text)
    local file = assert(io.open(path .. ".new", "wb"))
    file:write(text)
    file:close()
    assert(os.rename(path .. ".new", path))
end

local function serve(folder)
    local number, quiet = 1, 0
    while quiet < QUIET_LOOKS do
        local text = read(folder .. "/call-" .. number .. ".json")
        if text then
            local call = decode(text)
            if call.method == "bye" then
                return
            end
            write(folder .. "/answer-" .. number .. ".json", answer_to(call))
            number, quiet = number + 1, 0
        else
            quiet = quiet + 1
            bmd.wait(quiet < 100 and BUSY_S or IDLE_S)
        end
    end
end

local command = string.format('"%s" -E -m editor_plugin.resolve.exchange %s', PYTHON, MODE)
if package.config:sub(1, 1) == "\\" then
    command = '"' .. command .. '"' -- cmd.exe takes the outer quotes off
end
local started, window = pcall(io.popen, command, "r")
window = started and window or nil
local folder = window and window:read("*l")
if folder and folder ~= "" then
    objects[0] = resolve
    serve(folder)
    for line in window:lines() do
        print(line)
    end
else
    print("Dubwright was moved or removed (" .. PYTHON .. "). Run its installer again.")
end
if window then
    window:close()
end
